"""What a Scan's body reads from the graph around it becomes a state that no step changes.

OpenVINO 2026.4 reads a Scan only where its body captures constants alone. Other runtimes would
copy such a state in every step, so this is for that target alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

__all__ = ["carry_captures"]


def carry_captures(model: ir.Model) -> None:
    """Rewrite every Scan in place, the inner ones first."""
    for node in reversed(list(model.graph.all_nodes())):
        if node.op_type == "Scan" and node.domain == "":
            body = node.attributes["body"].as_graph()
            if captured := _captured(body):
                _carry(node, body, captured)


def _captured(body: ir.Graph) -> list[ir.Value]:
    """Values of the graphs around, constants left out, in the order in which they are read."""
    own = set(_values(body))
    found: dict[ir.Value, None] = {}
    for value in _read(body):
        if value not in own and not value.is_initializer():
            found[value] = None
    return list(found)


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    for one in (graph, *graph.subgraphs()):
        yield from one.inputs
        yield from one.initializers.values()
    for node in graph.all_nodes():
        yield from node.outputs


def _read(graph: ir.Graph) -> Iterator[ir.Value]:
    for node in graph.all_nodes():
        yield from (value for value in node.inputs if value is not None)
    for one in (graph, *graph.subgraphs()):
        yield from one.outputs


def _carry(node: ir.Node, body: ir.Graph, captured: list[ir.Value]) -> None:
    count = node.attributes["num_scan_inputs"].as_int()
    states = len(body.inputs) - count
    loop = next(value.name for value in node.outputs if value.name)
    inner = [ir.Value(name=f"{v.name}/in/{loop}", type=v.type, shape=v.shape) for v in captured]
    kept = [ir.node("Identity", [value]) for value in inner]
    members = set(body.all_nodes())
    for old, new in zip(captured, inner, strict=True):
        for use in [use for use in old.uses() if use.node in members]:
            use.node.replace_input_with(use.idx, new)
        for one in (body, *body.subgraphs()):
            outputs = [new if value is old else value for value in one.outputs]
            one.outputs[:] = outputs
    body.inputs[states:states] = inner
    for copy, old in zip(kept, captured, strict=True):
        copy.outputs[0].name = f"{old.name}/out/{loop}"
        copy.outputs[0].type, copy.outputs[0].shape = old.type, old.shape
        body.append(copy)
    body.outputs[states:states] = [copy.outputs[0] for copy in kept]
    _replace(node, states, captured, loop)


def _replace(node: ir.Node, states: int, captured: list[ir.Value], loop: str) -> None:
    """The node with further states between its own and what it scans."""
    inputs = [*node.inputs[:states], *captured, *node.inputs[states:]]
    new = ir.node(
        "Scan",
        inputs,
        node.attributes,
        num_outputs=len(node.outputs) + len(captured),
        name=node.name,
    )
    graph = node.graph
    assert graph is not None
    graph.insert_before(node, new)
    kept = [*new.outputs[:states], *new.outputs[states + len(captured) :]]
    for old, value in zip(node.outputs, kept, strict=True):
        value.name, value.type, value.shape = old.name, old.type, old.shape
        old.replace_all_uses_with(value, replace_graph_outputs=True)
    ends = new.outputs[states : states + len(captured)]
    for end, value in zip(ends, captured, strict=True):
        end.name = f"{value.name}/end/{loop}"
    graph.remove(node, safe=True)
