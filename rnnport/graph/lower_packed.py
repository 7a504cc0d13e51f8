"""Masked layers for target "cpu": packed steps, operators with lengths, one gather back."""

from __future__ import annotations

import onnx_ir as ir

from rnnport.graph.call import Call, Lowered, shape_last, shape_outputs
from rnnport.graph.emit import Emitter
from rnnport.graph.fused import run_cells
from rnnport.graph.lower_plain import op_names
from rnnport.graph.lower_scan import scan_steps
from rnnport.graph.masking import unmasked
from rnnport.graph.packing import PackedRows, Packing
from rnnport.recurrent import CellSpec

__all__ = ["lower_packed"]


def lower_packed(call: Call) -> Lowered:
    """Run every cell on packed steps; SimpleRNN as a Scan, which is faster than its operator."""
    emit, spec, mask = call.emit, call.spec, call.mask
    assert mask is not None
    plan = call.plans.packed(emit, mask, backwards=spec.go_backwards)
    # Only valid steps are read, so that nobody need put masked ones to zero.
    y = plan.pack(emit, unmasked(call.x, mask), spec.cells[0].features)
    finals: list[ir.Value] = []
    for cell, states in zip(spec.cells, call.cell_states(), strict=True):
        y, others = _steps(emit, plan, cell, y, states)
        rows = plan.rows_of(emit, y, cell.units, zeroed=cell.kind != "SimpleRNN")
        finals.extend(_finals(emit, plan, rows, others, states))
    flip = spec.go_backwards and spec.input_order
    outputs = plan.unpack(emit, rows, _shown(call, plan), flip=flip)
    last = plan.last(emit, rows, _shown_last(call, plan))
    if spec.stream:
        in_order = [emit.flip(v, 1) if flip else v for v in (plan.mask, plan.seen)]
        outputs = shape_outputs(call, outputs, *in_order)
        last = shape_last(call, last, plan.mask, plan.any_valid)
    return Lowered(outputs, last, finals, _how(call), "masked")


def _shown(call: Call, plan: Packing) -> ir.Value:
    """Where an output stands, (B, T) in processing order; Keras gives zeros elsewhere."""
    if not call.spec.zero_output_for_mask:
        return plan.seen
    if call.spec.unreversed_zeros:
        return call.emit.op("And", call.emit.flip(plan.mask, 1), plan.seen)
    return plan.mask


def _shown_last(call: Call, plan: Packing) -> ir.Value:
    """Whether the last step's output is an output, (B, 1)."""
    if not call.spec.zero_output_for_mask:
        return plan.any_valid
    emit = call.emit
    return emit.op("Slice", plan.mask, emit.ints(-1), emit.ints(2**62), emit.ints(1))


def _how(call: Call) -> str:
    if all(cell.kind == "SimpleRNN" for cell in call.spec.cells):
        return "Scan, packed"
    return f"{op_names(call)}, packed with lengths"


def _steps(
    emit: Emitter, plan: Packing, cell: CellSpec, x: ir.Value, states: tuple[ir.Value, ...]
) -> tuple[ir.Value, list[ir.Value]]:
    """Outputs (T', B, U), and final states other than h, (B, U) each."""
    if cell.kind == "SimpleRNN":
        start = states or (emit.zeros(plan.batch, cell.units),)
        *_, y = scan_steps(emit, cell, x, None, list(start))
        return y, []
    run = run_cells(emit, [cell], x, [states], lengths=plan.lengths)
    others = [emit.op("Squeeze", s, emit.ints(0)) for s in run.states[1:]]
    return emit.op("Squeeze", run.y, emit.ints(1)), others


def _finals(
    emit: Emitter,
    plan: Packing,
    rows: PackedRows,
    others: list[ir.Value],
    states: tuple[ir.Value, ...],
) -> list[ir.Value]:
    """Final h from the last valid step, final c; initial states where no step is valid."""
    # Operators give zeros for a length of zero.
    found = [plan.last(emit, rows, plan.any_valid), *others]
    if not states:
        return found
    pairs = zip(found, states, strict=True)
    return [emit.op("Where", plan.any_valid, end, start) for end, start in pairs]
