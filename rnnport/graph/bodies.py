"""Moves what stands between two step markers into the body of one `Custom` node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace

import onnx_ir as ir

from rnnport.custom import CustomSpec
from rnnport.errors import UnsupportedModel
from rnnport.graph.origins import dependents, reads
from rnnport.graph.skeleton import BEGIN, DOMAIN, Skeleton, token_of

__all__ = ["BODY", "body_of", "fold_bodies"]

BODY = "body"


def body_of(node: ir.Node) -> ir.Graph:
    """The graph of one step of a `Custom` node."""
    return node.attributes[BODY].as_graph()


def fold_bodies(skeleton: Skeleton) -> None:
    """Fold every pair of step markers in place; afterwards there is no `StepBegin`.

    Raises:
        UnsupportedModel: something outside of a cell reads what the cell computes inside.
    """
    while open_ends := [n for n in skeleton.custom_nodes() if BODY not in n.attributes]:
        # Innermost first: a cell whose step runs another such layer.
        inside = {id(end): _inside(skeleton, end) for end in open_ends}
        end = next(e for e in open_ends if not any(o in inside[id(e)] for o in open_ends))
        _fold(skeleton, end, inside[id(end)])


def _fold(skeleton: Skeleton, end: ir.Node, inside: Set[ir.Node]) -> None:
    spec, begin = skeleton.custom_spec(end), _begin_of(skeleton, end)
    if begin is None:
        raise _nothing_read(spec)
    _refuse_leaks(skeleton, spec, {*inside, begin}, end)
    graph = end.graph
    assert isinstance(graph, ir.Graph)
    inputs = [_body_input(value) for value in begin.outputs]
    for old, new in zip(begin.outputs, inputs, strict=True):
        old.replace_all_uses_with(new)
    outputs = _distinct(end, [v for v in end.inputs if v is not None], _kinds(spec, end))
    ordered = [node for node in graph if node in inside]
    for node in ordered:
        graph.remove(node)
    ordered += [v.producer() for v in outputs]  # type: ignore[misc]
    name = f"{spec.name}/step"
    body = ir.Graph(inputs, outputs, nodes=ordered, name=name)
    body.sort()
    token = token_of(end)
    node = ir.node(
        end.op_type,
        list(begin.inputs),
        {"token": token, BODY: body},
        domain=DOMAIN,
        num_outputs=len(end.outputs),
    )
    node.name = end.name
    graph.insert_before(end, node)
    for old, new in zip(end.outputs, node.outputs, strict=True):
        new.name, new.type, new.shape = old.name, old.type, old.shape
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        old.name = f"{new.name}/folded"
    graph.remove(end, safe=True)
    graph.remove(begin, safe=True)
    skeleton.specs[token] = replace(spec, begin="")
    del skeleton.specs[spec.begin]
    graph.sort()


def _begin_of(skeleton: Skeleton, end: ir.Node) -> ir.Node | None:
    wanted = skeleton.custom_spec(end).begin
    return next((n for n in skeleton.nodes(BEGIN) if token_of(n) == wanted), None)


def _inside(skeleton: Skeleton, end: ir.Node) -> set[ir.Node]:
    """Nodes that depend on the first marker and that the second one depends on."""
    begin, graph = _begin_of(skeleton, end), end.graph
    if begin is None or graph is None:
        return set()
    late = dependents(graph, set(begin.outputs))
    needed: set[ir.Node] = set()
    pending = [v for v in end.inputs if v is not None]
    while pending:
        producer = pending.pop().producer()
        if producer is not None and producer in late and producer not in needed:
            needed.add(producer)
            pending.extend(reads(producer))
    return needed - {end}


def _body_input(value: ir.Value) -> ir.Value:
    return ir.Value(name=f"{value.name}/step", type=value.type, shape=value.shape)


def _kinds(spec: CustomSpec, end: ir.Node) -> list[ir.TypeProtocol | None]:
    """Types of the body's outputs, from what becomes of them outside."""
    behind = 2 * len(spec.outputs)
    return [v.type for v in (*end.outputs[0:behind:2], *end.outputs[behind:])]


def _distinct(
    end: ir.Node, values: Sequence[ir.Value], kinds: Sequence[ir.TypeProtocol | None]
) -> list[ir.Value]:
    """A copy of every value: a body may not give an input, an outer value, or one value twice."""
    copies = []
    for number, (value, kind) in enumerate(zip(values, kinds, strict=True)):
        copy = ir.node("Identity", [value])
        copy.name = f"{end.name}/result{number}"
        result = copy.outputs[0]
        result.name, result.type = f"{copy.name}:0", kind
        copies.append(result)
    return copies


def _refuse_leaks(skeleton: Skeleton, spec: CustomSpec, inside: Set[ir.Node], end: ir.Node) -> None:
    """Nobody but the body and its end reads what is computed for one step."""
    own = {value for node in inside for value in node.outputs}
    allowed = {*inside, *_nested(inside), end}
    for value in own:
        if value.is_graph_output() or any(use.node not in allowed for use in value.uses()):
            raise UnsupportedModel.of(
                f"cell {spec.cell_kind!r} of layer {spec.name!r}",
                "a value computed within one step that the model uses outside of the loop",
                "a cell whose outputs and states are all that leaves it",
                "return the value as part of the cell's output, or as a state",
            )


def _nested(nodes: Set[ir.Node]) -> Iterator[ir.Node]:
    for node in nodes:
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                yield from attribute.as_graph().all_nodes()


def _nothing_read(spec: CustomSpec) -> UnsupportedModel:
    return UnsupportedModel.of(
        f"cell {spec.cell_kind!r} of layer {spec.name!r}",
        "a step that reads neither its input nor its states",
        "a cell that computes something",
        "leave the layer out of the model",
    )
