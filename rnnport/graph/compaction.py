"""Moves the valid steps of every row to the front, and results back to where they belong.

Works in processing order: for a layer that runs backwards the gather reads from the end, which
costs nothing more. Axis letters: B batch, T time, F features, U units.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from rnnport.graph.emit import Emitter

__all__ = ["Compaction", "compaction"]


@dataclass(frozen=True, eq=False)
class Compaction:
    """Index tensors made from one mask.

    Attributes:
        mask: valid steps in processing order.  # (B, T) bool
        lengths: valid steps of each row.  # (B,) int64
        gather: flat row of X (B·T, F) for each compacted step.  # (T, B) int64
        padding: compacted steps behind the valid ones.  # (T, B, 1) bool
        seen: whether a valid step has come yet, processing order.  # (B, T) bool
        back: flat row of Y (T·B, U) for each step, processing order.  # (B, T) int64
        last: flat row of Y for each row's last valid step.  # (B,) int64
        any_valid: (B, 1) bool
    """

    mask: ir.Value
    lengths: ir.Value
    gather: ir.Value
    padding: ir.Value
    seen: ir.Value
    back: ir.Value
    last: ir.Value
    any_valid: ir.Value

    def compact(self, emit: Emitter, x: ir.Value) -> ir.Value:
        """(B, T, F) to (T, B, F), valid steps first."""
        features = emit.size(x, 2)
        rows = emit.op("Reshape", x, emit.op("Concat", emit.ints(-1), features, axis=0))
        return emit.op("Gather", rows, self.gather, axis=0)

    def expand(self, emit: Emitter, y: ir.Value, *, flip: bool) -> ir.Value:
        """(T, B, U) to (B, T, U), the last valid output repeated; garbage before the first.

        Args:
            emit: where to write.
            y: compacted outputs.
            flip: give them in reversed processing order.
        """
        index = emit.flip(self.back, 1) if flip else self.back
        return emit.op("Gather", _rows(emit, y), index, axis=0)

    def final(self, emit: Emitter, y: ir.Value) -> ir.Value:
        """(T, B, U) to (B, U): the output of each row's last valid step."""
        return emit.op("Gather", _rows(emit, y), self.last, axis=0)


def _rows(emit: Emitter, y: ir.Value) -> ir.Value:
    """(T, B, U) to (T·B, U)."""
    units = emit.size(y, 2)
    return emit.op("Reshape", y, emit.op("Concat", emit.ints(-1), units, axis=0))


def compaction(emit: Emitter, mask: ir.Value, *, backwards: bool) -> Compaction:
    """Build the index tensors.

    Args:
        emit: where to write.
        mask: valid steps in input order.  # (B, T) bool
        backwards: the layer processes the last step first.
    """
    mask = emit.flip(mask, 1) if backwards else mask
    zero, one = emit.integer(0), emit.integer(1)
    batch, time = emit.size(mask, 0), emit.size(mask, 1)
    rows = _range(emit, batch)  # (B,)
    steps = _range(emit, time)  # (T,)
    valid = emit.op("Cast", mask, to=ir.DataType.INT64.value)
    count = emit.op("CumSum", valid, emit.integer(1))  # (B, T)
    lengths = emit.op("ReduceSum", valid, emit.ints(1), keepdims=0)  # (B,)
    column = emit.op("Unsqueeze", lengths, emit.ints(1))  # (B, 1)
    rank_valid = emit.op("Sub", count, one)
    rank_padding = emit.op("Add", column, emit.op("Sub", steps, count))
    rank = emit.op("Where", mask, rank_valid, rank_padding)  # (B, T), a permutation
    sources = emit.op("Expand", steps, emit.op("Shape", mask))
    order = emit.op("ScatterElements", sources, rank, sources, axis=1)  # (B, T)
    if backwards:
        order = emit.op("Sub", emit.op("Sub", time, one), order)
    row_column = emit.op("Unsqueeze", rows, emit.ints(1))  # (B, 1)
    flat = emit.op("Add", order, emit.op("Mul", row_column, time))
    seen = emit.op("Greater", count, zero)
    reached = emit.op("Max", rank_valid, zero)
    back = emit.op("Add", emit.op("Mul", reached, batch), row_column)
    final = emit.op("Max", emit.op("Sub", lengths, one), zero)
    last = emit.op("Add", emit.op("Mul", final, batch), rows)
    behind = emit.op("GreaterOrEqual", steps, column)  # (B, T)
    return Compaction(
        mask=mask,
        lengths=lengths,
        gather=emit.op("Transpose", flat, perm=[1, 0]),
        padding=emit.op("Unsqueeze", emit.op("Transpose", behind, perm=[1, 0]), emit.ints(2)),
        seen=seen,
        back=back,
        last=last,
        any_valid=emit.op("Greater", column, zero),
    )


def _range(emit: Emitter, length: ir.Value) -> ir.Value:
    """0 … length−1 for a 1-D length of one element."""
    scalar = emit.op("Squeeze", length, emit.ints(0))
    return emit.op("Range", emit.integer(0), scalar, emit.integer(1))
