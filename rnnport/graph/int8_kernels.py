"""onnxruntime's kernels that compute in int8: DynamicQuantizeLSTM and DynamicQuantizeMatMul.

Layouts are those of onnxruntime's contrib operators: W (D, F, 4·U) and R (D, U, 4·U), transposed
against ONNX's LSTM; scales and zero points (D, 4·U); of a product B (K, N), scales (N,). D
directions, T time, B batch, F features, U units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rnnport.graph.emit import Emitter
from rnnport.graph.quantise import SAFE_BITS, Quantised, fits, quantise

__all__ = ["constant", "dynamic_lstm", "dynamic_product", "takes_lstm", "takes_product"]

_MICROSOFT = "com.microsoft"
_LENGTHS, _PEEPHOLES = 4, 7
# An LSTM of fewer weights gains a tenth at most (8→64 takes 0.93 of float32's time, 64→64 0.80,
# 64→128 0.64, 128→256 0.47), for which rows shall not lose their independence.
_FEW_OF_LSTM = 1 << 15
# A product by fewer weights takes as long in float32 (128 by 64 does, 512 by 512 takes twice).
_FEW = 1 << 14


def constant(value: ir.Value | None) -> NDArray[Any] | None:
    """The float32 array of an initialiser that fits into int8, or None."""
    if value is None or value.const_value is None or value.dtype != ir.DataType.FLOAT:
        return None
    array = value.const_value.numpy()
    return array if fits(array) else None


def takes_lstm(node: ir.Node) -> bool:
    """Whether this LSTM is large enough, and has nothing that the kernel was not tried with."""
    if node.op_type != "LSTM" or node.domain:
        return False
    peepholes = len(node.inputs) > _PEEPHOLES and node.inputs[_PEEPHOLES] is not None
    arrays = [constant(node.inputs[place]) for place in (1, 2)]
    sizes = [array.size // len(array) for array in arrays if array is not None]
    return (
        len(sizes) == 2
        and sum(sizes) >= _FEW_OF_LSTM
        and not peepholes
        and "input_forget" not in node.attributes
    )


def dynamic_lstm(graph: ir.Graph, node: ir.Node) -> None:
    """Put DynamicQuantizeLSTM in the place of an LSTM of the main graph.

    Steps behind a row's length, which LSTM never looks at, are zeroed: the scale is that of all.
    """
    emit = Emitter(graph, before=node, prefix=f"int8/{node.name}/")
    inputs = list(node.inputs) + [None] * (8 - len(node.inputs))
    lengths = inputs[_LENGTHS]
    for place in (1, 2):
        name, made = _kernel(node, place, (2,))
        zero = np.zeros(made.scale.shape[:2], np.int8)
        inputs[place] = emit.weight(f"{name}_kernel", made.q.transpose(0, 2, 1))
        inputs.append(emit.weight(f"{name}_kernel_scale", made.scale[..., 0]))
        inputs.append(emit.weight(f"{name}_kernel_zero", zero))
    if lengths is not None and inputs[0] is not None:
        inputs[0] = _zero_behind(emit, inputs[0], lengths)
    _replace(graph, node, "DynamicQuantizeLSTM", inputs)


def takes_product(node: ir.Node) -> bool:
    """Whether this product is by constant weights, and by enough of them."""
    if node.op_type != "MatMul" or node.domain:
        return False
    array = constant(node.inputs[1])
    return array is not None and array.ndim == 2 and array.size >= _FEW


def dynamic_product(graph: ir.Graph, node: ir.Node) -> None:
    """Put DynamicQuantizeMatMul in the place of a MatMul of the main graph."""
    emit = Emitter(graph, before=node, prefix=f"int8/{node.name}/")
    name, made = _kernel(node, 1, (0,))
    scale = made.scale[0]
    parts = {"kernel": made.q, "kernel_scale": scale, "kernel_zero": np.zeros(len(scale), np.int8)}
    weights = [emit.weight(f"{name}_{word}", array) for word, array in parts.items()]
    _replace(graph, node, "DynamicQuantizeMatMul", [node.inputs[0], *weights])


def _kernel(node: ir.Node, place: int, axes: tuple[int, ...]) -> tuple[str, Quantised]:
    """Name and int8 form of weights that takes_lstm or takes_product has seen."""
    value, array = node.inputs[place], constant(node.inputs[place])
    if value is None or array is None:
        raise ValueError(f"input {place} of {node.name} is no constant")
    return str(value.name), quantise(array, axes, SAFE_BITS)


def _replace(graph: ir.Graph, node: ir.Node, op_type: str, inputs: list[ir.Value | None]) -> None:
    """The same outputs from another operator."""
    kept = [attribute for attribute in node.attributes.values() if attribute.name != "layout"]
    made = ir.Node(_MICROSOFT, op_type, inputs, kept, num_outputs=len(node.outputs), name=node.name)
    graph.insert_before(node, made)
    for old, new in zip(node.outputs, made.outputs, strict=True):
        name = old.name
        new.type, new.shape = old.type, old.shape
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        old.name, new.name = f"{name}/float32", name
    graph.remove(node, safe=True)


def _zero_behind(emit: Emitter, x: ir.Value, lengths: ir.Value) -> ir.Value:
    """Zeros in x (T, B, F) from each row's length (B,) on, whatever stands there."""
    count = emit.op("Squeeze", emit.size(x, 0), emit.ints(0))
    steps = emit.op("Range", emit.integer(0), count, emit.integer(1))
    ends = emit.op("Cast", lengths, to=ir.DataType.INT64.value)
    inside = emit.op("Less", emit.op("Unsqueeze", steps, emit.ints(1)), ends)
    return emit.op("Where", emit.op("Unsqueeze", inside, emit.ints(2)), x, emit.real(0.0))
