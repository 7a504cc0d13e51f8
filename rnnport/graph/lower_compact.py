"""Masked layers by compaction: valid steps to the front, results gathered back."""

from __future__ import annotations

import onnx_ir as ir

from rnnport.graph.call import Call, Lowered, shape_last, shape_outputs
from rnnport.graph.compaction import Compaction
from rnnport.graph.emit import Emitter
from rnnport.graph.fused import Run, run_cells
from rnnport.graph.lower_plain import op_names
from rnnport.recurrent import CellSpec

__all__ = ["lower_compact"]


def lower_compact(call: Call) -> Lowered:
    """Run every cell on compacted steps, all of them."""
    emit, spec, mask = call.emit, call.spec, call.mask
    assert mask is not None
    plan = call.plans.get(emit, mask, backwards=spec.go_backwards)
    y = plan.compact(emit, call.x)
    finals: list[ir.Value] = []
    start = 0
    for cell, states in zip(spec.cells, call.cell_states(), strict=True):
        wanted = call.wants_states[start : start + len(cell.states)] or (True,) * len(cell.states)
        start += len(cell.states)
        hold = cell.kind == "LSTM" and wanted[1]
        run = _run(emit, plan, cell, y, states, hold=hold)
        y = emit.op("Squeeze", run.y, emit.ints(1))
        finals.extend(_finals(emit, plan, cell, run, y, states))
    last_valid = plan.final(emit, y)
    flip = spec.go_backwards and spec.input_order
    y = plan.expand(emit, y, flip=flip)
    in_order = [emit.flip(v, 1) if flip else v for v in (plan.mask, plan.seen)]
    return Lowered(
        shape_outputs(call, y, *in_order),
        shape_last(call, last_valid, plan.mask, plan.any_valid),
        finals,
        f"{op_names(call)}, compacted",
        "masked",
    )


def _run(
    emit: Emitter,
    plan: Compaction,
    cell: CellSpec,
    x: ir.Value,
    states: tuple[ir.Value, ...],
    *,
    hold: bool,
) -> Run:
    if hold:
        clean = emit.op("Where", plan.padding, emit.real(0.0), x)
        column = emit.op("Where", plan.padding, emit.real(1.0), emit.real(0.0))
        x = emit.op("Concat", clean, column, axis=2)
    return run_cells(emit, [cell], x, [states], hold=hold)


def _finals(
    emit: Emitter,
    plan: Compaction,
    cell: CellSpec,
    run: Run,
    y: ir.Value,
    states: tuple[ir.Value, ...],
) -> list[ir.Value]:
    """Final h from the last valid step, final c held; initial states where no step is valid."""
    found = [plan.final(emit, y)]
    found.extend(emit.op("Squeeze", s, emit.ints(0)) for s in run.states[1:])
    if not states:
        zero = emit.real(0.0)
        # c is held from a zero start.
        return [emit.op("Where", plan.any_valid, found[0], zero), *found[1:]]
    return [emit.op("Where", plan.any_valid, found[0], states[0]), *found[1:]]
