"""Switches recurrent operators of a finished graph to Scans, and a SimpleRNN's Scan to RNN.

Each computes the same as the other. Axis letters: B batch, T time, F features, U units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from rnnport.graph.emit import Emitter, stand_in
from rnnport.graph.fused import run_cells
from rnnport.graph.lower_scan import scan_steps
from rnnport.graph.tidy import tidy
from rnnport.graph.weights import from_onnx_gates
from rnnport.recurrent import Activation, CellKind, CellSpec, FloatArray

__all__ = ["Switch", "switch", "switches"]

_KINDS: Mapping[str, CellKind] = {"LSTM": "LSTM", "GRU": "GRU", "RNN": "SimpleRNN"}
_DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
# Neither take parameters, nor overflow in onnxruntime's kernels.
_PLAIN = {"Sigmoid", "Tanh", "Relu", "Softsign"}
_LENGTHS, _PEEPHOLES = 4, 7


@dataclass(frozen=True)
class Switch:
    """What can be switched.

    Attributes:
        node: the node's name.
        layer: the layer's name.
        now: its operator, "LSTM", "GRU", "RNN" or "Scan".
        then: what it would become.
    """

    node: str
    layer: str
    now: str
    then: str


def switches(model: ir.Model) -> list[Switch]:
    """Every operator of the main graph that can be switched, in the graph's order."""
    found = []
    for node in model.graph:
        if not node.name:  # nothing to find it by
            continue
        if node.op_type in _KINDS and _fused_cell(node) is not None:
            found.append(Switch(str(node.name), _layer(node), node.op_type, "Scan"))
        elif node.op_type == "Scan" and _scanned_cell(node) is not None:
            found.append(Switch(str(node.name), _layer(node), "Scan", "RNN"))
    return found


def switch(model: ir.Model, chosen: Switch) -> None:
    """Switch in place.

    Raises:
        ValueError: the graph has no such operator.
    """
    node = next((n for n in model.graph if n.name == chosen.node), None)
    if node is None:
        raise ValueError(f"no node {chosen.node!r}")
    emit = Emitter(model.graph, before=node, prefix=f"{chosen.layer}/tuned/")
    if node.op_type == "Scan":
        _to_operator(emit, node)
    else:
        _to_scan(emit, node)
    model.graph.remove(node, safe=True)
    tidy(model)


def _layer(node: ir.Node) -> str:
    return str(node.name).rpartition("/")[0].removesuffix("/tuned")


def _to_scan(emit: Emitter, node: ir.Node) -> None:
    cell = _fused_cell(node)
    x = node.inputs[0]
    assert cell is not None
    assert x is not None
    given = [v for v in node.inputs[5:7] if v is not None]
    states = [emit.op("Squeeze", v, emit.ints(0)) for v in given]
    states = states or [emit.zeros(emit.size(x, 1), cell.units) for _ in cell.states]
    backwards = _text(node, "direction", "forward") == "reverse"
    *ends, y = scan_steps(emit, cell, x, None, states, backwards=backwards)
    _replace(node.outputs[0], emit, y, 1)
    for old, end in zip(node.outputs[1:], ends, strict=False):
        _replace(old, emit, end, 0)


def _to_operator(emit: Emitter, node: ir.Node) -> None:
    found = _scanned_cell(node)
    assert found is not None
    cell, x = found
    state = node.inputs[0]
    assert state is not None
    backwards = _directions(node, "scan_input_directions") == [1]
    run = run_cells(emit, [cell], x, [(state,)], reverse=backwards)
    stand_in(node.outputs[0], emit.op("Squeeze", run.states[0], emit.ints(0)))
    stand_in(node.outputs[1], emit.op("Squeeze", run.y, emit.ints(1)))


def _replace(old: ir.Value, emit: Emitter, new: ir.Value, axis: int) -> None:
    """Put a value without ONNX's direction axis in the place of one that has it."""
    for use in list(old.uses()):
        if use.node.op_type == "Squeeze" and _ints(use.node.inputs[1]) == [axis]:
            stand_in(use.node.outputs[0], new)
    if old.uses() or old.is_graph_output():
        stand_in(old, emit.op("Unsqueeze", new, emit.ints(axis)))


def _fused_cell(node: ir.Node) -> CellSpec | None:
    """The cell of an operator of one direction, over all steps; None for any other."""
    kind = _KINDS[node.op_type]
    inputs = [*node.inputs, *[None] * (8 - len(node.inputs))]
    arrays = [_array(v) for v in inputs[1:4]]
    plain = inputs[_LENGTHS] is None and inputs[_PEEPHOLES] is None
    names = _names(node)
    if node.domain or not plain or names is None or arrays[0] is None or arrays[1] is None:
        return None
    strange = {"clip", "input_forget", "layout"} & set(node.attributes)
    if strange or _text(node, "direction", "forward") not in ("forward", "reverse"):
        return None
    w, r = arrays[0][0], arrays[1][0]
    width = w.shape[0]
    b = np.zeros(2 * width, np.float32) if arrays[2] is None else arrays[2][0]
    gate, *others = [Activation(name) for name in names]
    return CellSpec(
        name=f"{_layer(node)}/{node.name}",
        kind=kind,
        kernel=from_onnx_gates(kind, w.T),
        recurrent_kernel=from_onnx_gates(kind, r.T),
        bias=from_onnx_gates(kind, b[:width]),
        recurrent_bias=from_onnx_gates(kind, b[width:]),
        activation=others[0] if others else gate,
        recurrent_activation=gate,
        reset_after=bool(_integer(node, "linear_before_reset", 0)),
    )


def _names(node: ir.Node) -> list[str] | None:
    """Activations of one direction; None where they take parameters or an LSTM's differ."""
    if {"activation_alpha", "activation_beta"} & set(node.attributes):
        return None
    given = node.attributes.get("activations")
    names = _DEFAULTS[node.op_type] if given is None else list(given.as_strings())
    alike = len(names) < 3 or names[1] == names[2]
    return names if alike and set(names) <= _PLAIN else None


def _scanned_cell(node: ir.Node) -> tuple[CellSpec, ir.Value] | None:
    """The SimpleRNN cell and x (T, B, F) of a Scan as lower_scan writes it; None for others."""
    body = node.attributes["body"].as_graph()
    steps = list(body)
    ops = [step.op_type for step in steps]
    one = len(node.inputs) == 2 and _integer(node, "num_scan_inputs", 0) == 1
    if not one or len(ops) != 4 or ops[:2] != ["MatMul", "Add"] or ops[3] != "Identity":
        return None
    if ops[2] not in _PLAIN or len(node.outputs) != 2 or not _chained(body, steps):
        return None
    ways = {tuple(_directions(node, f"scan_{w}_directions")) for w in ("input", "output")}
    recurrent = _array(steps[0].inputs[1])
    hoisted = _hoisted(node.inputs[1])
    if len(ways) > 1 or recurrent is None or hoisted is None:
        return None
    x, kernel, bias = hoisted
    units = recurrent.shape[0]
    activation = Activation(ops[2])
    cell = CellSpec(
        name=f"{_layer(node)}/{node.name}",
        kind="SimpleRNN",
        kernel=kernel,
        recurrent_kernel=recurrent,
        bias=np.zeros(units, np.float32) if bias is None else bias,
        recurrent_bias=np.zeros(units, np.float32),
        activation=activation,
        recurrent_activation=activation,
    )
    return cell, x


def _chained(body: ir.Graph, steps: list[ir.Node]) -> bool:
    """Whether it is h' = act(x + h·R), given out as state and as output."""
    state, x = body.inputs
    product, total, active, copy = (step.outputs[0] for step in steps)
    return (
        steps[0].inputs[0] is state
        and set(steps[1].inputs) == {x, product}
        and steps[2].inputs[0] is total
        and steps[3].inputs[0] is active
        and list(body.outputs) == [active, copy]
    )


def _hoisted(value: ir.Value | None) -> tuple[ir.Value, FloatArray, FloatArray | None] | None:
    """x, kernel and bias of x·kernel + bias."""
    node = value.producer() if value is not None else None
    bias = None
    if node is not None and node.op_type == "Add":
        bias = _array(node.inputs[1])
        inner = node.inputs[0]
        node = inner.producer() if bias is not None and inner is not None else None
    if node is None or node.op_type != "MatMul":
        return None
    x, kernel = node.inputs[0], _array(node.inputs[1])
    return None if x is None or kernel is None else (x, kernel, bias)


def _array(value: ir.Value | None) -> FloatArray | None:
    tensor = value.const_value if value is not None else None
    return None if tensor is None else np.asarray(tensor.numpy(), np.float32)


def _ints(value: ir.Value | None) -> list[int]:
    tensor = value.const_value if value is not None else None
    return [] if tensor is None else [int(i) for i in tensor.numpy().ravel()]


def _integer(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def _text(node: ir.Node, name: str, default: str) -> str:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_string()


def _directions(node: ir.Node, name: str) -> list[int]:
    attribute = node.attributes.get(name)
    return [0] if attribute is None else list(attribute.as_ints())
