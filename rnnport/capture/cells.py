"""Reads a standard Keras cell into a CellSpec."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnnport.capture.activation import recognise
from rnnport.capture.context import TraceContext
from rnnport.capture.framework import as_written, framework_of, frameworks
from rnnport.capture.onnx_body import activation_body
from rnnport.recurrent import GATES, Activation, CellKind, CellSpec, FloatArray

__all__ = ["flat_cells", "read_activation", "read_cell", "standard_kind"]


def standard_kind(cell: Any) -> CellKind | None:
    """Which standard formula the cell computes, or None where a subclass computes its own."""
    for framework in frameworks():
        for kind, owner, original in framework.cells:
            if isinstance(cell, owner):
                return kind if as_written(type(cell), "call") is original else None
    return None


def flat_cells(cell: Any) -> list[Any] | None:
    """The chain of standard cells that `cell` is, or None where one is not standard."""
    if standard_kind(cell) is not None:
        return [cell]
    call = as_written(type(cell), "call")
    if not any(call is framework.stacked for framework in frameworks()):
        return None
    if getattr(cell, "reverse_state_order", False):  # tf_keras: states in another order than cells
        return None
    chain: list[Any] = []
    for inner in cell.cells:
        flat = flat_cells(inner)
        if flat is None:
            return None
        chain.extend(flat)
    return chain


def read_cell(context: TraceContext, cell: Any, name: str) -> CellSpec:
    """Copy weights and options of a standard cell; the same cell gives the same spec.

    Args:
        context: the trace.
        cell: a built LSTMCell, GRUCell or SimpleRNNCell.
        name: suggested name for its initialisers.
    """
    known = context.cells.get(id(cell))
    if known is not None:
        return known
    kind = standard_kind(cell)
    assert kind is not None
    bias, recurrent_bias = _biases(cell, kind)
    spec = CellSpec(
        name=context.unique(name),
        kind=kind,
        kernel=_array(cell.kernel),
        recurrent_kernel=_array(cell.recurrent_kernel),
        bias=bias,
        recurrent_bias=recurrent_bias,
        activation=read_activation(context, cell.activation, cell.units),
        recurrent_activation=(
            Activation("Sigmoid")
            if kind == "SimpleRNN"
            else read_activation(context, cell.recurrent_activation, cell.units)
        ),
        reset_after=bool(getattr(cell, "reset_after", False)),
    )
    context.cells[id(cell)] = spec
    context.keep.append(cell)
    return spec


def _biases(cell: Any, kind: CellKind) -> tuple[FloatArray, FloatArray]:
    zeros = np.zeros(GATES[kind] * int(cell.units), np.float32)
    if not cell.use_bias:
        return zeros, zeros
    bias = _array(cell.bias)
    if bias.ndim == 2:  # GRU with reset_after: (2, 3U)
        return bias[0], bias[1]
    return bias, zeros


def _array(variable: Any) -> FloatArray:
    with tf.init_scope():
        return np.array(keras.ops.convert_to_numpy(variable), np.float32)


def read_activation(context: TraceContext, function: Any, units: int) -> Activation:
    """What a cell's activation computes; the same function gives the same answer."""
    known = context.activations.get(id(function))
    if known is not None:
        return known
    with context.standing_aside(), tf.init_scope():
        if framework_of(function) is not None and not function.built:
            function.build((None, units))  # before it sees the grid and takes that for its width
        found = recognise(function)
        if found is None:
            label = getattr(function, "__name__", type(function).__name__)
            found = Activation("Custom", body=activation_body(function), label=label)
    context.activations[id(function)] = found
    context.keep.append(function)
    return found
