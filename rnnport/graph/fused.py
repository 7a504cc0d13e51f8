"""Emits ONNX's LSTM, GRU and RNN operators, time-major."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from rnnport.graph.activations import activation_attributes
from rnnport.graph.emit import Emitter
from rnnport.graph.weights import onnx_weights
from rnnport.recurrent import CellSpec

__all__ = ["OPS", "Run", "run_cells"]

OPS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}


class Run:
    """Outputs of one operator, still with ONNX's direction axis.

    Attributes:
        y: every step's output.  # (T, D, B, U)
        states: final h, and c for LSTM.  # each (D, B, U)
    """

    def __init__(self, y: ir.Value, states: list[ir.Value]) -> None:
        self.y = y
        self.states = states


def run_cells(
    emit: Emitter,
    cells: Sequence[CellSpec],
    x: ir.Value,
    states: Sequence[Sequence[ir.Value]],
    *,
    reverse: bool = False,
    hold: bool = False,
    lengths: ir.Value | None = None,
) -> Run:
    """One operator for one cell, or for the two directions of a bidirectional layer.

    Args:
        emit: where to write.
        cells: one cell, or forward and backward of the same kind and size.
        x: (T, B, F), or (T, B, F+1) with the hold column.
        states: for each cell its initial states (B, U); empty for zeros.
        reverse: run a single cell from the last step to the first.
        hold: the weights of the hold column are appended.
        lengths: valid steps of each row, (B,) int32; None where all are.
    """
    cell = cells[0]
    name = "+".join(c.name for c in cells) + ("_hold" if hold else "")
    arrays = [onnx_weights(c, hold=hold) for c in cells]
    w = emit.weight(f"{name}_W", np.stack([a.w for a in arrays]))
    r = emit.weight(f"{name}_R", np.stack([a.r for a in arrays]))
    b = emit.weight(f"{name}_B", np.stack([a.b for a in arrays]))
    initial = [_directions(emit, group) for group in zip(*states, strict=True)]
    attributes = {"hidden_size": cell.units, **activation_attributes(cells)}
    if len(cells) == 2:
        attributes["direction"] = "bidirectional"
    elif reverse:
        attributes["direction"] = "reverse"
    if cell.kind == "GRU":
        attributes["linear_before_reset"] = int(cell.reset_after)
    count = 1 + len(cell.states)
    inputs = [x, w, r, b, lengths, *initial]
    peepholes = [a.p for a in arrays if a.p is not None]
    if peepholes:
        missing = [None] * (7 - len(inputs))
        inputs += [*missing, emit.weight(f"{name}_P", np.stack(peepholes))]
    outputs = emit.nodes(OPS[cell.kind], inputs, count, **attributes)
    return Run(outputs[0], outputs[1:])


def _directions(emit: Emitter, states: Sequence[ir.Value]) -> ir.Value:
    """(B, U) of each direction to (D, B, U)."""
    lifted = [emit.op("Unsqueeze", s, emit.ints(0)) for s in states]
    return lifted[0] if len(lifted) == 1 else emit.op("Concat", *lifted, axis=0)
