"""Masked GRU: an extra input column saturates the update gate, so masked steps hold the state."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rnnport.graph.call import Call, Lowered, shape_last, shape_outputs
from rnnport.graph.emit import Emitter
from rnnport.graph.fused import run_cells
from rnnport.graph.masking import unmasked

__all__ = ["finish_hold", "held_input", "last_step", "lower_hold", "seen_in_input_order"]


def held_input(emit: Emitter, x: ir.Value, mask: ir.Value) -> ir.Value:
    """(B, T, F) to (T, B, F+1): masked steps zeroed, the hold column 1 on them."""
    column = emit.op("Unsqueeze", mask, emit.ints(2))
    clean = emit.op("Where", column, unmasked(x, mask), emit.real(0.0))
    hold = emit.op("Where", column, emit.real(0.0), emit.real(1.0))
    widened = emit.op("Concat", clean, hold, axis=2)
    return emit.op("Transpose", widened, perm=[1, 0, 2])


def seen_in_input_order(emit: Emitter, mask: ir.Value, *, backwards: bool) -> ir.Value:
    """Whether a valid step has been processed at or before each step, (B, T) bool."""
    valid = emit.op("Cast", mask, to=ir.DataType.INT32.value)
    count = emit.op("CumSum", valid, emit.integer(1), reverse=int(backwards))
    return emit.op("Greater", count, emit.weight("int32_0", np.array(0, np.int32)))


def lower_hold(call: Call) -> Lowered:
    """One GRU with the hold column; needs a gate that saturates at exactly 1."""
    emit, mask = call.emit, call.mask
    assert mask is not None
    run = run_cells(
        emit,
        list(call.spec.cells),
        held_input(emit, call.x, mask),
        call.cell_states(),
        reverse=call.spec.go_backwards,
        hold=True,
    )
    y = emit.op("Transpose", emit.op("Squeeze", run.y, emit.ints(1)), perm=[1, 0, 2])
    final = emit.op("Squeeze", run.states[0], emit.ints(0))
    return finish_hold(call, y, final, "GRU with hold column")


def finish_hold(call: Call, y: ir.Value, final: ir.Value, how: str) -> Lowered:
    """Shape held outputs as Keras does.

    Args:
        call: the node; its mask is given.
        y: every step's state, masked steps holding it, input order.  # (B, T, U)
        final: the final state.  # (B, U)
        how: name of the lowering.
    """
    emit, spec, mask = call.emit, call.spec, call.mask
    assert mask is not None
    backwards = spec.go_backwards
    seen = any_valid = None
    # From zero states what is held is zero already; a stream gives what it holds.
    if call.states and not spec.stream:
        seen = seen_in_input_order(emit, mask, backwards=backwards)
        any_valid = last_step(emit, seen, backwards=backwards)
        if spec.unit_mask:
            any_valid = emit.op("Squeeze", any_valid, emit.ints(1))
    outputs = shape_outputs(call, y, mask, seen)
    if backwards and not spec.input_order:
        outputs = emit.flip(outputs, 1)
    in_order = emit.flip(mask, 1) if backwards else mask
    return Lowered(outputs, shape_last(call, final, in_order, any_valid), [final], how, "masked")


def last_step(emit: Emitter, x: ir.Value, *, backwards: bool) -> ir.Value:
    """The step processed last: (B, T) to (B, 1)."""
    start, end = (0, 1) if backwards else (-1, 2**62)
    return emit.op("Slice", x, emit.ints(start), emit.ints(end), emit.ints(1))
