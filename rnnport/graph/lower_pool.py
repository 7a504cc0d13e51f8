"""Pooling over all time, and over all time so far.

A stream sums in float64 and counts in int64, so that neither a long stream nor the way it was cut
shows in the result.
"""

from __future__ import annotations

import onnx_ir as ir

from rnnport.carried import PoolSpec
from rnnport.graph.emit import Emitter

__all__ = ["lower_pool"]

_DOUBLE, _FLOAT, _INT64 = (
    ir.DataType.DOUBLE.value,
    ir.DataType.FLOAT.value,
    ir.DataType.INT64.value,
)


def lower_pool(emit: Emitter, spec: PoolSpec, inputs: list[ir.Value]) -> list[ir.Value]:
    """The pooled value (B, F), and in a stream the next running value and count."""
    x = inputs[0]
    mask = emit.op("Unsqueeze", inputs[1], emit.ints(2)) if spec.has_mask else None
    if spec.stream:
        value, count = inputs[-2:]
        return (_running_mean if spec.kind == "mean" else _running_max)(emit, x, mask, value, count)
    if spec.kind == "max":
        return [emit.op("ReduceMax", x, emit.ints(1), keepdims=0)]
    if mask is None:
        return [emit.op("ReduceMean", x, emit.ints(1), keepdims=0)]
    clean = emit.op("Where", mask, x, emit.real(0.0))
    total = emit.op("ReduceSum", clean, emit.ints(1), keepdims=0)
    steps = emit.op("ReduceSum", emit.op("Cast", mask, to=_FLOAT), emit.ints(1), keepdims=0)
    return [emit.op("Div", total, steps)]


def _running_mean(
    emit: Emitter, x: ir.Value, mask: ir.Value | None, total: ir.Value, count: ir.Value
) -> list[ir.Value]:
    if mask is not None:
        x = emit.op("Where", mask, x, emit.real(0.0))
    wide = emit.op("Cast", x, to=_DOUBLE)
    total = emit.op("Add", total, emit.op("ReduceSum", wide, emit.ints(1), keepdims=0))
    count = emit.op("Add", count, _steps(emit, x, mask))
    mean = emit.op("Div", total, emit.op("Cast", count, to=_DOUBLE))
    return [emit.op("Cast", mean, to=_FLOAT), total, count]


def _running_max(
    emit: Emitter, x: ir.Value, mask: ir.Value | None, value: ir.Value, count: ir.Value
) -> list[ir.Value]:
    chunk = emit.op("ReduceMax", x, emit.ints(1), keepdims=0)
    begun = emit.op("Greater", count, emit.integer(0))
    value = emit.op("Where", begun, emit.op("Max", value, chunk), chunk)
    return [value, value, emit.op("Add", count, _steps(emit, x, mask))]


def _steps(emit: Emitter, x: ir.Value, mask: ir.Value | None) -> ir.Value:
    """Valid steps of this chunk: (B, 1) int64, or one number where none is masked."""
    if mask is None:
        return emit.size(x, 1)
    valid = emit.op("Cast", mask, to=_INT64)
    return emit.op("ReduceSum", valid, emit.ints(1), keepdims=0)
