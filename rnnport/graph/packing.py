"""Packs the valid steps of every row to the front for operators that take lengths.

For target "cpu". Steps that no row needs are left out. A fused operator given `sequence_lens` is
zero behind a row's valid steps, so that zeros come out of the same gather as outputs: a row with a
masked step has such a step among those kept. Works in processing order: for a layer that runs
backwards the gather reads from the end. Axis letters: B batch, T time, T' steps kept, F features,
U units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from rnnport.graph.emit import Emitter

__all__ = ["PackedRows", "Packing", "packing"]


@dataclass(frozen=True, eq=False)
class PackedRows:
    """Packed outputs, for gathering.

    Attributes:
        values: one row a step and row of the batch, (N, U); row t·B + b is step t of row b.
        zero: a row of zeros for each row of the batch that has a masked step.  # (B, 1) or (1,)
    """

    values: ir.Value
    zero: ir.Value


@dataclass(frozen=True, eq=False)
class Packing:
    """Index tensors made from one mask.

    Attributes:
        mask: valid steps in processing order.  # (B, T) bool
        count: valid steps so far, this one included.  # (B, T) int64
        rank: one less.  # (B, T) int64
        column: valid steps of each row.  # (B, 1) int64
        lengths: likewise, for operators.  # (B,) int32
        gather: flat row of X (B·T, F) for each packed step; behind a row's own, of some valid step
            if there is any.  # (T', B) int64
        batch: B.  # (1,) int64
        rows: 0 … B−1.  # (B, 1) int64
        seen: whether a valid step has come yet.  # (B, T) bool
        any_valid: (B, 1) bool
    """

    mask: ir.Value
    count: ir.Value
    rank: ir.Value
    column: ir.Value
    lengths: ir.Value
    gather: ir.Value
    batch: ir.Value
    rows: ir.Value
    seen: ir.Value
    any_valid: ir.Value

    def pack(self, emit: Emitter, x: ir.Value, features: int) -> ir.Value:
        """(B, T, F) to (T', B, F)."""
        return emit.op("Gather", emit.op("Reshape", x, emit.ints(-1, features)), self.gather)

    def rows_of(self, emit: Emitter, y: ir.Value, units: int, *, zeroed: bool) -> PackedRows:
        """Lay packed outputs out for reading.

        Args:
            emit: where to write.
            y: (T', …, B, U)
            units: U.
            zeroed: y is zero behind a row's valid steps.
        """
        values = emit.op("Reshape", y, emit.ints(-1, units))
        if zeroed:
            return PackedRows(values, self.flat(emit, self.column))
        zero = emit.weight(f"zeros_1_{units}", np.zeros((1, units), np.float32))
        return PackedRows(emit.op("Concat", values, zero, axis=0), emit.size(values, 0))

    def unpack(self, emit: Emitter, y: PackedRows, shown: ir.Value, *, flip: bool) -> ir.Value:
        """Every step's output, (B, T, U).

        Args:
            emit: where to write.
            y: packed outputs.
            shown: where the last valid step's output stands; elsewhere zeros.  # (B, T) bool
            flip: give them in reversed processing order.
        """
        index = emit.op("Where", shown, self.flat(emit, self.rank), y.zero)
        return emit.op("Gather", y.values, emit.flip(index, 1) if flip else index)

    def last(self, emit: Emitter, y: PackedRows, shown: ir.Value) -> ir.Value:
        """The output of each row's last valid step, (B, U).

        Args:
            emit: where to write.
            y: packed outputs.
            shown: rows whose output is wanted, which have a valid step; zeros elsewhere, where
                there is a masked one.  # (B, 1) bool
        """
        ends = self.flat(emit, emit.op("Sub", self.column, emit.integer(1)))
        index = emit.op("Where", shown, ends, y.zero)
        return emit.op("Gather", y.values, emit.op("Squeeze", index, emit.ints(1)))

    def flat(self, emit: Emitter, steps: ir.Value) -> ir.Value:
        """Flat rows of Y (T'·B, U) for packed steps (B, …)."""
        return emit.op("Add", emit.op("Mul", steps, self.batch), self.rows)


def packing(emit: Emitter, mask: ir.Value, *, backwards: bool) -> Packing:
    """Build the index tensors.

    Args:
        emit: where to write.
        mask: valid steps in input order.  # (B, T) bool
        backwards: the layer processes the last step first.
    """
    one, given = emit.integer(1), mask
    mask = emit.flip(given, 1) if backwards else given
    batch, time = emit.size(given, 0), emit.size(given, 1)
    valid = emit.op("Cast", mask, to=ir.DataType.INT64.value)
    count = emit.op("CumSum", valid, one)
    rank = emit.op("Sub", count, one)
    column = emit.op("Slice", count, emit.ints(-1), emit.ints(2**62), emit.ints(1))
    flat = _range(emit, emit.op("Size", given))
    flat = emit.op("Reshape", flat, emit.op("Shape", given))  # (B, T)
    # Behind a row's valid steps stands some valid step, so that masked values, which may be NaN or
    # spoil the range of int8, are never read; all masked steps go to one place behind the others.
    first = emit.op("ArgMax", emit.op("Reshape", _bytes(emit, given), emit.ints(-1)), keepdims=1)
    room = emit.op("Concat", batch, emit.op("Add", time, one), axis=0)
    order = emit.op(
        "ScatterElements",
        emit.op("Expand", first, room),
        emit.op("Where", mask, rank, time),
        emit.flip(flat, 1) if backwards else flat,
        axis=1,
    )
    longest = emit.op("ReduceMax", column, keepdims=0)
    kept = emit.op("Min", emit.op("Add", longest, one), time)
    order = emit.op("Slice", order, emit.ints(0), kept, emit.ints(1))
    lengths = emit.op("Squeeze", column, emit.ints(1))
    rows = _range(emit, emit.op("Squeeze", batch, emit.ints(0)))
    return Packing(
        mask=mask,
        count=count,
        rank=rank,
        column=column,
        lengths=emit.op("Cast", lengths, to=ir.DataType.INT32.value),
        gather=emit.op("Transpose", order, perm=[1, 0]),
        batch=batch,
        rows=emit.op("Unsqueeze", rows, emit.ints(1)),
        seen=emit.op("Greater", count, emit.integer(0)),
        any_valid=emit.op("Greater", column, emit.integer(0)),
    )


def _bytes(emit: Emitter, mask: ir.Value) -> ir.Value:
    return emit.op("Cast", mask, to=ir.DataType.UINT8.value)


def _range(emit: Emitter, length: ir.Value) -> ir.Value:
    """0 … length−1 for a scalar length."""
    return emit.op("Range", emit.integer(0), length, emit.integer(1))
