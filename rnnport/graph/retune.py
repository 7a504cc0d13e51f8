"""Switches recurrent operators of a finished graph to Scans, and a SimpleRNN's Scan to RNN.

Each computes the same as the other. Axis letters: B batch, T time, F features, U units.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from rnnport.graph.emit import Emitter, stand_in
from rnnport.graph.fused import run_cells
from rnnport.graph.lower_scan import scan_steps
from rnnport.graph.retune_cells import KINDS, directions, fused_cell, ints, scanned_cell, text
from rnnport.graph.tidy import tidy

__all__ = ["Switch", "switch", "switches"]

_TUNED = re.compile(r"/tuned\d*$")


@dataclass(frozen=True)
class Switch:
    """What can be switched.

    Attributes:
        value: the first output of the node that has a name; nodes need not have one.
        layer: the layer's name; where the node has none, what it gives.
        now: its operator, "LSTM", "GRU", "RNN" or "Scan".
        then: what it would become.
    """

    value: str
    layer: str
    now: str
    then: str


def switches(model: ir.Model) -> list[Switch]:
    """Every operator of the main graph that can be switched, in the graph's order."""
    return [
        Switch(_identity(node), _layer(node), node.op_type, then)
        for node in model.graph
        if not node.domain and (then := _other(node))
    ]


def switch(model: ir.Model, chosen: Switch) -> None:
    """Switch in place.

    Raises:
        ValueError: the graph has no such operator.
    """
    nodes = (n for n in model.graph if n.op_type == chosen.now and _identity(n) == chosen.value)
    node = next(nodes, None)
    if node is None:
        raise ValueError(f"no {chosen.now} gives {chosen.value!r}")
    emit = Emitter(model.graph, before=node, prefix=_fresh(model, chosen.layer))
    if node.op_type == "Scan":
        _to_operator(emit, node)
    else:
        _to_scan(emit, node)
    model.graph.remove(node, safe=True)
    tidy(model)


def _other(node: ir.Node) -> str:
    """What a node can become; "" where it stays."""
    if node.op_type in KINDS:
        return "Scan" if fused_cell(node) is not None else ""
    return "RNN" if node.op_type == "Scan" and scanned_cell(node) is not None else ""


def _identity(node: ir.Node) -> str:
    return next((str(value.name) for value in node.outputs if value.name), "")


def _layer(node: ir.Node) -> str:
    return _TUNED.sub("", str(node.name or "").rpartition("/")[0]) or _identity(node)


def _fresh(model: ir.Model, layer: str) -> str:
    """Begins names that the graph does not hold, in nodes, values, weights or bodies."""
    taken = set(_names_in(model))
    prefixes = (f"{layer}/tuned{number}/" for number in itertools.count(1))
    return next(p for p in prefixes if not any(name.startswith(p) for name in taken))


def _names_in(model: ir.Model) -> Iterator[str]:
    yield from model.graph.initializers
    for node in model.graph.all_nodes():
        yield from (str(name) for name in (node.name, *(v.name for v in node.outputs)) if name)


def _to_scan(emit: Emitter, node: ir.Node) -> None:
    cell = fused_cell(node, name=f"{emit.prefix}cell")
    x = node.inputs[0]
    assert cell is not None
    assert x is not None
    given = [*node.inputs[5:7], None, None][: len(cell.states)]
    states = [
        emit.zeros(emit.size(x, 1), cell.units)
        if v is None
        else emit.op("Squeeze", v, emit.ints(0))
        for v in given
    ]
    backwards = text(node, "direction", "forward") == "reverse"
    *ends, y = scan_steps(emit, cell, x, None, states, backwards=backwards)
    _replace(node.outputs[0], emit, y, 1)
    for old, end in zip(node.outputs[1:], ends, strict=False):
        _replace(old, emit, end, 0)


def _to_operator(emit: Emitter, node: ir.Node) -> None:
    found = scanned_cell(node, name=f"{emit.prefix}cell")
    assert found is not None
    cell, x = found
    state = node.inputs[0]
    assert state is not None
    backwards = directions(node, "scan_input_directions") == [1]
    run = run_cells(emit, [cell], x, [(state,)], reverse=backwards)
    _take_over(node.outputs[0], emit.op("Squeeze", run.states[0], emit.ints(0)))
    _take_over(node.outputs[1], emit.op("Squeeze", run.y, emit.ints(1)))


def _replace(old: ir.Value, emit: Emitter, new: ir.Value, axis: int) -> None:
    """Put a value without ONNX's direction axis in the place of one that has it."""
    for use in list(old.uses()):
        given = use.node.inputs[1:2]
        if use.node.op_type == "Squeeze" and given and ints(given[0]) == [axis]:
            _take_over(use.node.outputs[0], new)
    if old.uses() or old.is_graph_output():
        stand_in(old, emit.op("Unsqueeze", new, emit.ints(axis)))


def _take_over(old: ir.Value, new: ir.Value) -> None:
    """Put a new value in the place of an old one, with its name, by which verify finds a layer.

    Both have the same shape; what an operator gives, with its direction axis, has no such heir.
    """
    name, inside = old.name, not old.is_graph_output()
    stand_in(old, new)
    if inside:
        old.name, new.name = f"{name}/replaced", name
