"""Gate orders and weight layouts of ONNX's recurrent operators, in one place.

ONNX operator schemas (opset 14–22): LSTM gates i o f c, GRU z r h, RNN i; W (D, G·U, F),
R (D, G·U, U), B (D, 2·G·U) with the input bias first; LSTM's peepholes P (D, 3·U) i o f.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnport.recurrent import CellKind, CellSpec, FloatArray

__all__ = ["HOLD", "OnnxWeights", "from_onnx_gates", "onnx_weights", "to_onnx_gates"]

# Large enough to saturate any gate, small enough to stay finite in float32.
HOLD = 1e30

# ONNX position to Keras position.
_FROM_KERAS: dict[CellKind, tuple[int, ...]] = {
    "LSTM": (0, 3, 1, 2),
    "GRU": (0, 1, 2),
    "SimpleRNN": (0,),
}

# Which Keras gates an extra input column drives to hold the state, and to what sign.
_HOLD_GATES: dict[CellKind, dict[int, float]] = {"LSTM": {0: -HOLD, 1: HOLD}, "GRU": {0: HOLD}}


@dataclass(frozen=True, eq=False)
class OnnxWeights:
    """Arrays as ONNX wants them, without the direction axis.

    Attributes:
        w: (G·U, F)
        r: (G·U, U)
        b: (2·G·U,)
        p: peepholes, i o f; None where there are none.  # (3·U,)
    """

    w: FloatArray
    r: FloatArray
    b: FloatArray
    p: FloatArray | None = None


def to_onnx_gates(kind: CellKind, array: FloatArray) -> FloatArray:
    """Reorder the gates along the last axis, Keras to ONNX."""
    gates = np.split(array, len(_FROM_KERAS[kind]), axis=-1)
    return np.concatenate([gates[i] for i in _FROM_KERAS[kind]], axis=-1)


def from_onnx_gates(kind: CellKind, array: FloatArray) -> FloatArray:
    """Reorder the gates along the last axis, ONNX to Keras."""
    gates = np.split(array, len(_FROM_KERAS[kind]), axis=-1)
    ordered = sorted(zip(_FROM_KERAS[kind], gates, strict=True), key=lambda pair: pair[0])
    return np.concatenate([gate for _, gate in ordered], axis=-1)


def onnx_weights(cell: CellSpec, *, hold: bool = False) -> OnnxWeights:
    """Weights of a cell in ONNX's layout.

    Args:
        cell: the cell.
        hold: append an input feature that, when 1, freezes the state (F becomes F+1).
    """
    kernel = cell.kernel
    if hold:
        kernel = np.concatenate([kernel, _hold_row(cell)], axis=0)
    return OnnxWeights(
        w=to_onnx_gates(cell.kind, kernel).T.copy(),
        r=to_onnx_gates(cell.kind, cell.recurrent_kernel).T.copy(),
        b=np.concatenate(
            [to_onnx_gates(cell.kind, cell.bias), to_onnx_gates(cell.kind, cell.recurrent_bias)]
        ),
        p=None if cell.peephole is None else _onnx_peephole(cell.peephole),
    )


def _onnx_peephole(peephole: FloatArray) -> FloatArray:
    i, f, o = np.split(peephole, 3)
    return np.concatenate([i, o, f])


def _hold_row(cell: CellSpec) -> FloatArray:
    row = np.zeros((1, cell.kernel.shape[1]), np.float32)
    for gate, value in _HOLD_GATES[cell.kind].items():
        row[:, gate * cell.units : (gate + 1) * cell.units] = value
    return row
