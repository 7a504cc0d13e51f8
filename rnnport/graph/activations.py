"""Activation names, parameters and saturation, as ONNX's recurrent operators define them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from rnnport.graph.emit import Emitter
from rnnport.recurrent import Activation, CellSpec

__all__ = ["activation_attributes", "emit_activation", "holds_state", "roles"]

_TAKES_ALPHA = {"Affine", "HardSigmoid", "ScaledTanh", "Elu", "LeakyRelu", "ThresholdedRelu"}
_TAKES_BETA = {"Affine", "HardSigmoid", "ScaledTanh"}
_DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "SimpleRNN": ["Tanh"]}

# Gates that reach exactly 1 at +1e30, and those that also reach exactly 0 at −1e30.
_REACH_ONE = {"Sigmoid", "HardSigmoid", "Tanh", "Softsign"}
_REACH_ZERO_AND_ONE = {"Sigmoid", "HardSigmoid"}


def roles(cell: CellSpec) -> list[Activation]:
    """Activations in the order of the operator's `activations` attribute, one direction."""
    if cell.kind == "LSTM":
        return [cell.recurrent_activation, cell.activation, cell.activation]
    if cell.kind == "GRU":
        return [cell.recurrent_activation, cell.activation]
    return [cell.activation]


def activation_attributes(cells: Sequence[CellSpec]) -> dict[str, Any]:
    """`activations`, `activation_alpha` and `activation_beta` for one or two directions.

    onnxruntime consumes alpha and beta in order, one for each activation that takes one, so the
    lists hold nothing for the others.
    """
    used = [activation for cell in cells for activation in roles(cell)]
    names = [activation.op for activation in used]
    if names == _DEFAULTS[cells[0].kind] * len(cells):
        return {}
    attributes: dict[str, Any] = {"activations": names}
    alphas = [float(a.alpha or 0.0) for a in used if a.op in _TAKES_ALPHA]
    betas = [float(a.beta or 0.0) for a in used if a.op in _TAKES_BETA]
    if alphas:
        attributes["activation_alpha"] = alphas
    if betas:
        attributes["activation_beta"] = betas
    return attributes


def holds_state(cell: CellSpec) -> bool:
    """Whether an extra input column can freeze the cell's state exactly."""
    op = cell.recurrent_activation.op
    if op == "HardSigmoid" and (cell.recurrent_activation.alpha or 0.0) <= 0.0:
        return False
    if cell.kind == "GRU":
        return op in _REACH_ONE
    return cell.kind == "LSTM" and op in _REACH_ZERO_AND_ONE


def emit_activation(emit: Emitter, activation: Activation, x: ir.Value) -> ir.Value:
    """The activation as ordinary ONNX nodes, for a Scan body."""
    if activation.op == "Custom":
        return _inline(emit, activation.body, x)
    if activation.op == "Affine":
        scaled = emit.op("Mul", x, emit.real(float(activation.alpha or 0.0)))
        return emit.op("Add", scaled, emit.real(float(activation.beta or 0.0)))
    if activation.op == "ScaledTanh":
        inner = emit.op("Mul", x, emit.real(float(activation.beta or 0.0)))
        return emit.op("Mul", emit.op("Tanh", inner), emit.real(float(activation.alpha or 0.0)))
    attributes = {}
    if activation.op in _TAKES_ALPHA:
        attributes["alpha"] = float(activation.alpha or 0.0)
    if activation.op in _TAKES_BETA:
        attributes["beta"] = float(activation.beta or 0.0)
    return emit.op(activation.op, x, **attributes)


def _inline(emit: Emitter, body: bytes, x: ir.Value) -> ir.Value:
    """Copy a one-input graph into the one being written."""
    graph = ir.from_proto(_parse(body)).graph
    source, result = graph.inputs[0], graph.outputs[0]
    graph.outputs.clear()
    source.replace_all_uses_with(x)
    for value in list(graph.initializers.values()):
        value.replace_all_uses_with(_adopted(emit, value))
    for node in list(graph):
        graph.remove(node)
        emit.add(node)
    return x if result is source else result


def _adopted(emit: Emitter, value: ir.Value) -> ir.Value:
    assert value.const_value is not None
    array = value.const_value.numpy()
    label = f"{array.dtype.str}{array.shape}".encode()
    digest = hashlib.sha256(label + array.tobytes()).hexdigest()[:12]
    return emit.weight(f"activation_{digest}", array)


def _parse(body: bytes) -> Any:
    import onnx

    return onnx.ModelProto.FromString(body)
