"""Pooling over all time, and over all time so far.

Sums are float64 and a stream counts in int64, so that neither a long stream nor the way it was cut
shows in the result. The whole run sums in float64 too: a layer normalisation behind the mean makes
thirty times as much of what float32 sums differ by.
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
        mean = emit.op("ReduceMean", emit.op("Cast", x, to=_DOUBLE), emit.ints(1), keepdims=0)
        return [emit.op("Cast", mean, to=_FLOAT)]
    valid = emit.op("Cast", mask, to=_DOUBLE)
    steps = emit.op("ReduceSum", valid, emit.ints(1), keepdims=0)
    mean = emit.op("Div", _sum(emit, x, mask), steps)
    return [emit.op("Cast", mean, to=_FLOAT)]


def _sum(emit: Emitter, x: ir.Value, mask: ir.Value | None) -> ir.Value:
    """The sum over the valid steps, in float64."""
    if mask is not None:
        x = emit.op("Where", mask, x, emit.real(0.0))
    return emit.op("ReduceSum", emit.op("Cast", x, to=_DOUBLE), emit.ints(1), keepdims=0)


def _running_mean(
    emit: Emitter, x: ir.Value, mask: ir.Value | None, total: ir.Value, count: ir.Value
) -> list[ir.Value]:
    total = emit.op("Add", total, _sum(emit, x, mask))
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
