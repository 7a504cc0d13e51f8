"""Reads the cell out of a recurrent operator, or out of a SimpleRNN's Scan, of a finished graph.

Whatever is not wholly understood is left alone. Axis letters: B batch, T time, F features, U units.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from rnnport.graph.weights import from_onnx_gates
from rnnport.recurrent import Activation, CellKind, CellSpec, FloatArray

__all__ = ["KINDS", "directions", "fused_cell", "ints", "scanned_cell", "text"]

KINDS: Mapping[str, CellKind] = {"LSTM": "LSTM", "GRU": "GRU", "RNN": "SimpleRNN"}
_DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
# Neither take parameters, nor overflow in onnxruntime's kernels.
_PLAIN = {"Sigmoid", "Tanh", "Relu", "Softsign"}
_LENGTHS, _PEEPHOLES = 4, 7


def fused_cell(node: ir.Node, name: str = "") -> CellSpec | None:
    """The cell of an LSTM, GRU or RNN of one direction, over all steps; None for any other.

    Args:
        node: of one of these operators.
        name: for the cell; starts the names of its weights.
    """
    kind = KINDS[node.op_type]
    inputs = [*node.inputs, *[None] * (8 - len(node.inputs))]
    kernel, recurrent, biases = (_array(v) for v in inputs[1:4])
    plain = inputs[_LENGTHS] is None and inputs[_PEEPHOLES] is None
    names = _names(node)
    if node.domain or not plain or names is None or kernel is None or recurrent is None:
        return None
    if biases is None and inputs[3] is not None:
        return None
    strange = {"clip", "input_forget", "layout"} & set(node.attributes)
    if strange or text(node, "direction", "forward") not in ("forward", "reverse"):
        return None
    w, r = kernel[0], recurrent[0]
    width = w.shape[0]
    b = np.zeros(2 * width, np.float32) if biases is None else biases[0]
    gate, *others = [Activation(name) for name in names]
    return CellSpec(
        name=name,
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


def scanned_cell(node: ir.Node, name: str = "") -> tuple[CellSpec, ir.Value] | None:
    """The SimpleRNN cell and x (T, B, F) of a Scan as lower_scan writes it; None for others.

    Args:
        node: a Scan.
        name: for the cell; starts the names of its weights.
    """
    body = node.attributes["body"].as_graph()
    steps = list(body)
    ops = [step.op_type for step in steps]
    one = len(node.inputs) == 2 and _integer(node, "num_scan_inputs", 0) == 1
    if not one or len(ops) != 4 or ops[:2] != ["MatMul", "Add"] or ops[3] != "Identity":
        return None
    if ops[2] not in _PLAIN or len(node.outputs) != 2 or not _chained(body, steps):
        return None
    ways = {tuple(directions(node, f"scan_{w}_directions")) for w in ("input", "output")}
    recurrent = _array(steps[0].inputs[1])
    hoisted = _hoisted(node.inputs[1])
    axes = {"scan_input_axes", "scan_output_axes"} & set(node.attributes)
    if len(ways) > 1 or axes or recurrent is None or hoisted is None:
        return None
    x, kernel, bias = hoisted
    units = recurrent.shape[0]
    if (kernel.ndim, recurrent.ndim) != (2, 2) or (bias is not None and bias.shape != (units,)):
        return None
    activation = Activation(ops[2])
    cell = CellSpec(
        name=name,
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
    """A float32 constant; None for other dtypes, and for defaults that a caller may override."""
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    tensor = value.const_value
    return np.asarray(tensor.numpy()) if tensor.dtype == ir.DataType.FLOAT else None


def ints(value: ir.Value | None) -> list[int]:
    """A constant's integers; none of anything else."""
    tensor = value.const_value if value is not None else None
    return [] if tensor is None else [int(i) for i in tensor.numpy().ravel()]


def _integer(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def text(node: ir.Node, name: str, default: str) -> str:
    """An attribute that is a text."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_string()


def directions(node: ir.Node, name: str) -> list[int]:
    """An attribute of a Scan that says which way it goes; forwards where it is missing."""
    attribute = node.attributes.get(name)
    return [0] if attribute is None else list(attribute.as_ints())
