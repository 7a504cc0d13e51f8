"""No mask: the fused operator, or a chain of them."""

from __future__ import annotations

import onnx_ir as ir

from rnnport.graph.call import Call, Lowered
from rnnport.graph.fused import OPS, run_cells

__all__ = ["lower_plain", "op_names"]


def op_names(call: Call) -> str:
    """The fused operators of a call, e.g. "LSTM" or "GRU → RNN"."""
    return " → ".join(OPS[cell.kind] for cell in call.spec.cells)


def lower_plain(call: Call) -> Lowered:
    """Run every cell with its fused operator, time-major, from the first to the last."""
    emit, backwards = call.emit, call.spec.go_backwards
    y = emit.op("Transpose", call.x, perm=[1, 0, 2])
    finals: list[ir.Value] = []
    last = y
    for cell, states in zip(call.spec.cells, call.cell_states(), strict=True):
        run = run_cells(emit, [cell], y, [states], reverse=backwards)
        y = emit.op("Squeeze", run.y, emit.ints(1))
        last = emit.op("Squeeze", run.states[0], emit.ints(0))
        finals.append(last)
        finals.extend(emit.op("Squeeze", s, emit.ints(0)) for s in run.states[1:])
    if backwards and not call.spec.input_order:
        y = emit.flip(y, 0)
    outputs = emit.op("Transpose", y, perm=[1, 0, 2])
    return Lowered(outputs, last, finals, op_names(call))
