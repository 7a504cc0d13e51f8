"""Masked layers by compaction: valid steps to the front, results gathered back."""

from __future__ import annotations

import onnx_ir as ir

from rnnport.graph.call import Call, Lowered, shape_last, shape_outputs
from rnnport.graph.compaction import Compaction
from rnnport.graph.emit import Emitter
from rnnport.graph.fused import run_cells
from rnnport.graph.lower_plain import op_names
from rnnport.graph.lower_scan import scan_steps
from rnnport.recurrent import CellSpec

__all__ = ["lower_compact"]


def lower_compact(call: Call, *, lengths: bool) -> Lowered:
    """Run every cell on compacted steps.

    Args:
        call: the node; its mask is given.
        lengths: for target "cpu": short rows cost less, by the operators' `sequence_lens`, and
            steps that no row needs are left out. There SimpleRNN runs as a Scan.
    """
    emit, spec, mask = call.emit, call.spec, call.mask
    assert mask is not None
    plan = call.plans.get(emit, mask, backwards=spec.go_backwards, trim=lengths)
    y = plan.compact(emit, call.x)
    finals: list[ir.Value] = []
    start = 0
    for cell, states in zip(spec.cells, call.cell_states(), strict=True):
        wanted = call.wants_states[start : start + len(cell.states)] or (True,) * len(cell.states)
        start += len(cell.states)
        hold = cell.kind == "LSTM" and wanted[1] and not lengths
        if lengths and cell.kind == "SimpleRNN":
            y, others = _scanned(emit, cell, y, states)
        else:
            y, others = _run(emit, plan, cell, y, states, hold=hold, lengths=lengths)
        finals.extend(_finals(emit, plan, others, y, states, lengths=lengths))
    last_valid = plan.final(emit, y)
    flip = spec.go_backwards and spec.input_order
    y = plan.expand(emit, y, flip=flip)
    in_order = [emit.flip(v, 1) if flip else v for v in (plan.mask, plan.seen)]
    return Lowered(
        shape_outputs(call, y, *in_order),
        shape_last(call, last_valid, plan.mask, plan.any_valid),
        finals,
        _how(call, lengths=lengths),
        "masked",
    )


def _how(call: Call, *, lengths: bool) -> str:
    if not lengths:
        return f"{op_names(call)}, compacted"
    if all(cell.kind == "SimpleRNN" for cell in call.spec.cells):
        return "Scan, compacted"
    return f"{op_names(call)}, compacted with lengths"


def _scanned(
    emit: Emitter, cell: CellSpec, x: ir.Value, states: tuple[ir.Value, ...]
) -> tuple[ir.Value, list[ir.Value]]:
    """Outputs (T', B, U), of no use behind a row's valid steps, where nobody reads them."""
    start = states or (emit.zeros(emit.size(x, 1), cell.units),)
    *_, y = scan_steps(emit, cell, x, None, list(start))
    return y, []


def _run(
    emit: Emitter,
    plan: Compaction,
    cell: CellSpec,
    x: ir.Value,
    states: tuple[ir.Value, ...],
    *,
    hold: bool,
    lengths: bool,
) -> tuple[ir.Value, list[ir.Value]]:
    """Outputs (T', B, U), and the final states other than h, (B, U) each."""
    if hold:
        clean = emit.op("Where", plan.padding, emit.real(0.0), x)
        column = emit.op("Where", plan.padding, emit.real(1.0), emit.real(0.0))
        x = emit.op("Concat", clean, column, axis=2)
    counts = emit.op("Cast", plan.lengths, to=ir.DataType.INT32.value) if lengths else None
    run = run_cells(emit, [cell], x, [states], hold=hold, lengths=counts)
    y = emit.op("Squeeze", run.y, emit.ints(1))
    return y, [emit.op("Squeeze", s, emit.ints(0)) for s in run.states[1:]]


def _finals(
    emit: Emitter,
    plan: Compaction,
    others: list[ir.Value],
    y: ir.Value,
    states: tuple[ir.Value, ...],
    *,
    lengths: bool,
) -> list[ir.Value]:
    """Final h from the last valid step, final c held; initial states where no step is valid."""
    found = [plan.final(emit, y), *others]
    if not states:
        zero = emit.real(0.0)
        # c is held from a zero start, or given as zero by the operator for a zero length.
        return [emit.op("Where", plan.any_valid, found[0], zero), *found[1:]]
    kept = [emit.op("Where", plan.any_valid, found[0], states[0])]
    for value, start in zip(found[1:], states[1:], strict=True):
        kept.append(emit.op("Where", plan.any_valid, value, start) if lengths else value)
    return kept
