"""Handlers for single calls of TensorFlow 1's cells and wrappers."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from rnnport.capture.context import TraceContext
from rnnport.capture.legacy_cells import pack_states, read_legacy_cell, standard_legacy, states_of
from rnnport.capture.marker import emit
from rnnport.capture.specs import static_shape
from rnnport.recurrent import STATES, RecurrentSpec

__all__ = ["dropout_wrapper", "legacy_cell_call"]


def legacy_cell_call(
    context: TraceContext, original: Any, cell: Any, inputs: Any, state: Any, *args: Any, **kw: Any
) -> Any:
    """A standard cell called by hand, or by another cell, becomes a marker for one step."""
    kind = standard_legacy(cell)
    if kind is None:
        return original(cell, inputs, state, *args, **kw)
    with context.standing_aside():  # makes the variables, and says what is to come out
        output, following = original(cell, inputs, state, *args, **kw)
    if output.dtype != tf.float32 or len(inputs.shape) != 2:
        return output, following
    name = cell.name
    spec = RecurrentSpec(
        name=name,
        layer_kind=type(cell).__name__,
        cells=(read_legacy_cell(context, cell, name),),
        has_state=True,
        step=True,
        inner=context.inner > 0,
    )
    (own,) = states_of(cell, state)
    finals = emit(
        context,
        spec,
        [inputs, *own],
        [[static_shape(inputs)[0], spec.cells[0].units]] * len(STATES[kind]),
    )
    return finals[0], pack_states(cell, iter([finals]))


def dropout_wrapper(
    context: TraceContext,
    original: Any,
    cell: Any,
    inputs: Any,
    state: Any,
    *,
    cell_call_fn: Any,
    **kw: Any,
) -> Any:
    """DropoutWrapper in inference: the wrapped cell alone."""
    kept = (cell._input_keep_prob, cell._state_keep_prob, cell._output_keep_prob)
    if any(_below_one(p) for p in kept):
        note = f"DropoutWrapper around {type(cell.cell).__name__}: left out, as in inference"
        if note not in context.notes:
            context.notes.append(note)
    return cell_call_fn(inputs, state, **kw)


def _below_one(probability: Any) -> bool:
    """Whether it drops anything, as far as can be told; a default of 1 does not."""
    if isinstance(probability, float):
        return probability < 1
    if probability.op.type == "PlaceholderWithDefault":
        probability = probability.op.inputs[0]
    value = tf.get_static_value(probability)
    return value is None or bool(value < 1)
