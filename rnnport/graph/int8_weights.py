"""Weights stored in int8 and multiplied out when the graph is opened: a quarter of the file.

Cast and Mul are standard operators on constants, which runtimes fold once when they open the graph:
it then computes in float32 as fast as before, and all its laws hold.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rnnport.graph.emit import Emitter
from rnnport.graph.quantise import fits, quantise

__all__ = ["SMALL", "quantise_weights"]

SMALL = 1024
"""Fewer elements stay in float32: they save nothing."""

_Axes = Callable[[ir.Node, int], tuple[int, ...]]


def quantise_weights(model: ir.Model) -> int:
    """Store in int8 what only products, convolutions and recurrent operators read; how many."""
    graph = model.graph
    found = [
        (value, axes, array)
        for value in list(graph.initializers.values())
        if (axes := _shared_axes(value)) and (array := _storable(value)) is not None
    ]
    if not found:
        return 0
    emit = Emitter(graph, before=next(iter(graph)), prefix="int8/weights/")
    for value, axes, array in found:
        _store(emit, value, axes, array)
        graph.initializers.pop(str(value.name))
    return len(found)


def _store(
    emit: Emitter, value: ir.Value, axes: tuple[int, ...], array: NDArray[np.float32]
) -> None:
    """Let all who read the value read what int8 gives, and a hold column as it is."""
    held = 0 if fits(array) else 1
    made = quantise(array[..., : array.shape[-1] - held], axes)
    cast = emit.op("Cast", emit.weight(f"{value.name}_int8", made.q), to=ir.DataType.FLOAT.value)
    whole = emit.op("Mul", cast, emit.weight(f"{value.name}_scale", made.scale))
    if held:
        column = emit.weight(f"{value.name}_hold", array[..., -1:])
        whole = emit.op("Concat", whole, column, axis=array.ndim - 1)
    whole.type, whole.shape = value.type, value.shape
    value.replace_all_uses_with(whole)


def _storable(value: ir.Value) -> NDArray[np.float32] | None:
    """The array, where int8 holds it: all of it, or all but a hold column behind it."""
    if value.const_value is None or value.dtype != ir.DataType.FLOAT:
        return None
    array = value.const_value.numpy()
    return array if fits(array) or (array.ndim == 3 and fits(array[..., :-1])) else None


def _shared_axes(value: ir.Value) -> tuple[int, ...]:
    """The axes along which one scale is shared, where every use is a product and agrees."""
    if value.is_graph_output() or value.const_value is None or value.const_value.size < SMALL:
        return ()
    wished = {_axes(node, place, len(value.const_value.shape)) for node, place in value.uses()}
    return wished.pop() if len(wished) == 1 else ()


def _axes(node: ir.Node, place: int, rank: int) -> tuple[int, ...]:
    """The axes that the operator sums over, or nothing where it is no product."""
    if node.domain or rank < 2:
        return ()
    if node.op_type in ("LSTM", "GRU", "RNN") and place in (1, 2):
        return (2,)
    if node.op_type == "MatMul":
        return (rank - 2,) if place == 1 else (rank - 1,)
    if node.op_type == "Gemm" and place == 1:
        turned = node.attributes.get("transB")
        return (1,) if turned is not None and turned.as_int() else (0,)
    if node.op_type == "Conv" and place == 1:
        return tuple(range(1, rank))
    return ()
