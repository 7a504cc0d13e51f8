"""One step of a bare cell."""

from __future__ import annotations

import onnx_ir as ir

from rnnport.graph.call import Call
from rnnport.graph.fused import OPS, run_cells
from rnnport.graph.lower_scan import emit_step, project
from rnnport.graph.obstacles import obstacle

__all__ = ["lower_step"]


def lower_step(call: Call) -> tuple[list[ir.Value], str]:
    """New states (B, U) from an input (B, F) and the old states.

    Returns:
        The states and the name of the lowering.
    """
    emit, (cell,) = call.emit, call.spec.cells
    if obstacle(cell, call.target):
        return emit_step(emit, cell, project(emit, cell, call.x), call.states), "plain ops"
    x = emit.op("Unsqueeze", call.x, emit.ints(0))
    run = run_cells(emit, [cell], x, [call.states])
    return [emit.op("Squeeze", s, emit.ints(0)) for s in run.states], OPS[cell.kind]
