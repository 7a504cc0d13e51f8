"""Reads the cells of tf.compat.v1.nn.rnn_cell: what they are made of, and their weights.

Formulas: tf_keras, layers/rnn/legacy_cells.py. A kernel there is (F + U, G·U), the input's rows
first. Axis letters: B batch, F features, U units, G gates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context as eager
from tf_keras.src.layers.rnn import legacy_cell_wrappers as wrappers
from tf_keras.src.layers.rnn import legacy_cells as cells

from rnnport.capture.cells import read_activation
from rnnport.capture.context import TraceContext
from rnnport.recurrent import Activation, CellKind, CellSpec, FloatArray

__all__ = [
    "Custom",
    "Part",
    "Residual",
    "pack_states",
    "parts_of",
    "read_legacy_cell",
    "standard_legacy",
    "states_of",
]

_KINDS: dict[Any, CellKind] = {
    cells.BasicRNNCell: "SimpleRNN",
    cells.GRUCell: "GRU",
    cells.BasicLSTMCell: "LSTM",
    cells.LSTMCell: "LSTM",
}
# As they are defined, taken before anything is patched.
_CALLS: dict[Any, Any] = {owner: owner.call for owner in (*_KINDS, cells.MultiRNNCell)}


@dataclass(frozen=True, eq=False)
class Residual:
    """Parts whose input is added to their output."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Custom:
    """A cell that runs by its own code: one step of it is traced."""

    cell: Any


Part = Any | Residual | Custom
"""A standard cell, a cell of its own, or parts with a residual connection around them."""


def standard_legacy(cell: Any) -> CellKind | None:
    """Which standard formula a bare cell computes; None for any other, and for other dtypes."""
    for owner, kind in _KINDS.items():
        if isinstance(cell, owner):
            return kind if type(cell).call is _CALLS[owner] and not _unlike(cell) else None
    return None


def _unlike(cell: Any) -> bool:
    """Whether an LSTMCell has what no fused operator computes: projection, clipping, shards."""
    if not isinstance(cell, cells.LSTMCell):
        return False
    options = (cell._num_proj, cell._cell_clip, cell._num_unit_shards)
    return any(option is not None for option in options)


def parts_of(cell: Any) -> tuple[Part, ...]:
    """What a cell is made of, in the order a step goes through it."""
    if standard_legacy(cell) is not None:
        return (cell,)
    if _is_stack(cell):
        return tuple(part for inner in cell._cells for part in parts_of(inner))
    wrapped = _wrapped(cell)
    if wrapped is None:
        return (Custom(cell),)
    inner = parts_of(wrapped)
    return (Residual(inner),) if type(cell) is wrappers.ResidualWrapper else inner


def _is_stack(cell: Any) -> bool:
    """Whether this is a MultiRNNCell whose cells can run one after the other.

    Each must keep its variables itself, as an RNNCell does, so that it finds them when it is called
    outside of the stack.
    """
    if not isinstance(cell, cells.MultiRNNCell):
        return False
    plain = type(cell).call is _CALLS[cells.MultiRNNCell]
    return plain and all(isinstance(inner, cells.RNNCell) for inner in cell._cells)


def _wrapped(cell: Any) -> Any:
    """The cell in a wrapper that does nothing in inference, or adds its input; else None."""
    plain = type(cell) in (wrappers.DropoutWrapper, wrappers.DeviceWrapper)
    added = type(cell) is wrappers.ResidualWrapper and cell._residual_fn is None
    return cell.cell if plain or added else None


def states_of(cell: Any, state: Any) -> list[Any]:
    """The states of every part in turn: h before c for a standard cell, else as they nest."""
    if standard_legacy(cell) == "LSTM":
        c, h = state if cell._state_is_tuple else tf.split(state, 2, axis=1)
        return [[h, c]]
    if standard_legacy(cell) is not None:
        return [[state]]
    if _is_stack(cell):
        sizes = [inner.state_size for inner in cell._cells]
        each = state if cell._state_is_tuple else tf.split(state, sizes, axis=1)
        return [
            s for inner, own in zip(cell._cells, each, strict=True) for s in states_of(inner, own)
        ]
    wrapped = _wrapped(cell)
    return [state] if wrapped is None else states_of(wrapped, state)


def pack_states(cell: Any, states: Iterator[Any]) -> Any:
    """The reverse of `states_of`."""
    if standard_legacy(cell) == "LSTM":
        h, c = next(states)
        return cells.LSTMStateTuple(c, h) if cell._state_is_tuple else tf.concat([c, h], axis=1)
    if standard_legacy(cell) is not None:
        return next(states)[0]
    if _is_stack(cell):
        each = tuple(pack_states(inner, states) for inner in cell._cells)
        return each if cell._state_is_tuple else tf.concat(each, axis=1)
    wrapped = _wrapped(cell)
    return next(states) if wrapped is None else pack_states(wrapped, states)


def read_legacy_cell(context: TraceContext, cell: Any, name: str) -> CellSpec:
    """Weights and options of a built standard cell; the same cell gives the same spec.

    Args:
        context: the trace; holds the variables' values.
        cell: as `standard_legacy` takes it.
        name: suggested name for its initialisers.
    """
    known = context.cells.get(id(cell))
    if known is not None:
        return known
    kind = standard_legacy(cell)
    assert kind is not None
    units = int(cell._num_units)
    kernel, bias = {"LSTM": _lstm, "GRU": _gru, "SimpleRNN": _simple}[kind](context, cell)
    features = kernel.shape[0] - units
    with eager.eager_mode():  # scripts of TensorFlow 1 switch it off
        activation = read_activation(context, cell._activation, units)
    spec = CellSpec(
        name=context.unique(name),
        kind=kind,
        kernel=kernel[:features],
        recurrent_kernel=kernel[features:],
        bias=bias,
        recurrent_bias=np.zeros_like(bias),
        activation=activation,
        recurrent_activation=Activation("Sigmoid"),
        peephole=_peephole(context, cell),
    )
    context.cells[id(cell)] = spec
    context.keep.append(cell)
    return spec


def _simple(context: TraceContext, cell: Any) -> tuple[FloatArray, FloatArray]:
    return _array(context, cell._kernel), _array(context, cell._bias)


def _lstm(context: TraceContext, cell: Any) -> tuple[FloatArray, FloatArray]:
    """Gates i j f o, j being the candidate, to Keras's i f c o; forget_bias joins the bias of f."""
    kernel = _reordered(_array(context, cell._kernel), 4, (0, 2, 1, 3))
    bias = _reordered(_array(context, cell._bias), 4, (0, 2, 1, 3))
    units = int(cell._num_units)
    bias[units : 2 * units] += np.float32(cell._forget_bias)
    return kernel, bias


def _gru(context: TraceContext, cell: Any) -> tuple[FloatArray, FloatArray]:
    """Gates r u and the candidate to Keras's z r h: u is z, h' = u·h + (1 − u)·c."""
    gates = _reordered(_array(context, cell._gate_kernel), 2, (1, 0))
    gate_bias = _reordered(_array(context, cell._gate_bias), 2, (1, 0))
    candidate = _array(context, cell._candidate_kernel)
    bias = np.concatenate([gate_bias, _array(context, cell._candidate_bias)])
    return np.concatenate([gates, candidate], axis=1), bias


def _peephole(context: TraceContext, cell: Any) -> FloatArray | None:
    if not getattr(cell, "_use_peepholes", False):
        return None
    diagonals = (cell._w_i_diag, cell._w_f_diag, cell._w_o_diag)
    return np.concatenate([_array(context, d) for d in diagonals])


def _reordered(array: FloatArray, count: int, order: Sequence[int]) -> FloatArray:
    gates = np.split(array, count, axis=-1)
    return np.concatenate([gates[i] for i in order], axis=-1)


def _array(context: TraceContext, variable: Any) -> FloatArray:
    return np.array(context.variables[variable.op.name], np.float32)
