"""A recurrent layer in which not all cells are standard: part by part over the whole sequence.

Cells of a stack see one mask, and a masked step changes none of them, so a stack over a sequence
is its cells over whole sequences, one after the other. Standard cells stay fused that way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from rnnport.capture.cells import read_cell, standard_kind
from rnnport.capture.context import TraceContext
from rnnport.capture.conv_lstm import conv_lstm_step, is_conv_lstm
from rnnport.capture.custom import CustomCall, custom_call
from rnnport.capture.framework import KERAS, framework_of, is_stack, takes
from rnnport.capture.marker import emit
from rnnport.recurrent import RecurrentSpec

__all__ = ["run_cells"]


@dataclass(frozen=True, eq=False)
class _Part:
    """Cells next to each other that are all standard, or one that is not.

    Attributes:
        first: number of the first of them in the stack.
        cells: they.
        states: initial states of each, as the layer has them.
    """

    first: int
    cells: list[Any]
    states: list[Any]


@dataclass(frozen=True, eq=False)
class _Run:
    """What all parts of a layer share."""

    context: TraceContext
    layer: Any
    mask: Any
    training: Any
    constants: Any
    kind: str


def run_cells(
    context: TraceContext,
    layer: Any,
    sequences: Any,
    states: list[Any],
    mask: Any,
    training: Any,
    constants: Any = None,
) -> tuple[Any, Any, list[Any]]:
    """Markers for every part.

    Args:
        context: the trace.
        layer: an RNN that runs its cell in Keras's own loop.
        sequences: (B, T, …), or a nest of such.
        states: initial states (B, …), nested as the layer has them.
        mask: (B, T) or (B, T, U) bool, or None.
        training: handed to cells that take it.
        constants: tensors that tf_keras hands to the cell in every step, or None.

    Returns:
        Outputs (B, T, …), last output (B, …), final states flat.
    """
    run = _Run(context, layer, mask, training, constants, _kind(layer))
    if constants is not None or not is_stack(layer.cell):
        return custom_call(context, _alone(run, sequences, states))
    parts = list(_parts(layer.cell, states))
    if layer.go_backwards:  # once for all, so that every part runs forwards
        sequences = tf.reverse(sequences, [1])
        mask = None if mask is None else tf.reverse(mask, [1])
        run = replace(run, mask=mask)
    finals: list[Any] = []
    last = None
    for part in parts:
        one = _standard if standard_kind(part.cells[0]) is not None else _custom
        sequences, last, ends = one(run, part, sequences, part is parts[-1])
        finals.extend(ends)
    return sequences, last, finals


def _parts(cell: Any, states: Any) -> Iterator[_Part]:
    gathered: list[tuple[int, Any, Any]] = []
    for number, (leaf, own) in enumerate(_leaves(cell, states)):
        if standard_kind(leaf) is not None:
            gathered.append((number, leaf, own))
            continue
        yield from _gathered(gathered)
        gathered = []
        yield _Part(number, [leaf], [own])
    yield from _gathered(gathered)


def _gathered(found: Sequence[tuple[int, Any, Any]]) -> Iterator[_Part]:
    if found:
        yield _Part(found[0][0], [c for _, c, _ in found], [s for _, _, s in found])


def _leaves(cell: Any, states: Any) -> Iterator[tuple[Any, Any]]:
    """The cells of nested stacks in order, each with its part of the states."""
    if not is_stack(cell):
        yield cell, states
        return
    for inner, own in zip(cell.cells, states, strict=True):
        yield from _leaves(inner, own)


def _alone(run: _Run, sequences: Any, states: list[Any]) -> CustomCall:
    """The layer's one cell, called as Keras's loop calls it."""
    layer, cell = run.layer, run.layer.cell
    convolves = is_conv_lstm(cell)

    def step(x: Any, old: Any) -> Any:
        if convolves:
            return conv_lstm_step(cell, x, old)
        call = cell if callable(cell) else cell.call
        # A cell of TensorFlow's own takes its only state as it is.
        alone = len(old) == 1 and getattr(cell, "_is_tf_rnn_cell", None) is not None
        return call(x, old[0] if alone else tuple(old), **_keywords(run, cell))

    return CustomCall(
        name=layer.name,
        layer_kind=run.kind,
        cell=cell,
        step=step,
        channels_first=convolves and cell.data_format == "channels_last",
        sequences=sequences,
        states=list(states),
        mask=run.mask,
        go_backwards=bool(layer.go_backwards),
        zero_output_for_mask=bool(layer.zero_output_for_mask),
        unreversed_zeros=_zeroes_unreversed(layer),
    )


def _custom(run: _Run, part: _Part, sequences: Any, at_end: bool) -> tuple[Any, Any, list[Any]]:
    (cell,), (states,) = part.cells, part.states
    call = cell if callable(cell) else cell.call
    given = list(states) if tree.is_nested(states) else [states]
    return custom_call(
        run.context,
        CustomCall(
            name=f"{run.layer.name}_cell{part.first}",
            layer_kind=run.kind,
            cell=cell,
            step=lambda x, old: call(x, list(old), **_keywords(run, cell)),
            sequences=sequences,
            states=given,
            mask=run.mask,
            zero_output_for_mask=at_end and bool(run.layer.zero_output_for_mask),
            unreversed_zeros=at_end and _zeroes_unreversed(run.layer),
        ),
    )


def _standard(run: _Run, part: _Part, sequences: Any, at_end: bool) -> tuple[Any, Any, list[Any]]:
    layer, mask = run.layer, run.mask
    names = [f"{layer.name}_cell{part.first + n}" for n in range(len(part.cells))]
    spec = RecurrentSpec(
        name=names[0],
        layer_kind=run.kind,
        cells=tuple(
            read_cell(run.context, cell, name) for cell, name in zip(part.cells, names, strict=True)
        ),
        zero_output_for_mask=at_end and bool(layer.zero_output_for_mask),
        unreversed_zeros=at_end and _zeroes_unreversed(layer),
        has_state=True,
        has_mask=mask is not None,
        unit_mask=mask is not None and len(mask.shape) == 3,
        inner=run.context.inner > 0,
    )
    batch, time = sequences.shape[:2]
    width = spec.cells[-1].units
    shapes = [[batch, time, width], [batch, width]]
    shapes += [[batch, *sizes] for _, sizes in spec.state_labels]
    masks = [] if mask is None else [mask]
    inputs = [tf.cast(sequences, tf.float32), *tree.flatten(part.states), *masks]
    outputs, last, *finals = emit(run.context, spec, inputs, shapes)
    return outputs, last, finals


def _zeroes_unreversed(layer: Any) -> bool:
    return bool(layer.unroll and layer.go_backwards and layer.zero_output_for_mask)


def _keywords(run: _Run, cell: Any) -> dict[str, Any]:
    """What the layer's own loop hands to the cell beside input and states."""
    given = {} if run.constants is None else {"constants": run.constants}
    if framework_of(run.layer) is KERAS and not isinstance(cell, keras.layers.Layer):
        return given
    return given | ({"training": run.training} if takes(cell, "training") else {})


def _kind(layer: Any) -> str:
    """A class of its own, or RNN with its cells."""
    framework = framework_of(layer)
    if framework is None or type(layer) is not framework.layers.RNN:
        return type(layer).__name__
    return f"RNN({', '.join(_names(layer.cell))})"


def _names(cell: Any) -> list[str]:
    """Of the cells of nested stacks."""
    if not is_stack(cell):
        return [type(cell).__name__]
    return [name for inner in cell.cells for name in _names(inner)]
