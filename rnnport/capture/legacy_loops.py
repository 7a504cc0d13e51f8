"""Handlers for TensorFlow 1's recurrent functions in one direction, while a graph is being built.

`dynamic_rnn` is caught where it enters its loop: scopes, zero states and checks are its own, and it
is found however the code imported it.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from rnnport.capture.context import OpaqueLayer, TraceContext
from rnnport.capture.custom import Untraceable
from rnnport.capture.legacy_run import LegacyRun, run_whole, why_left
from rnnport.capture.legacy_sequence import (
    are_steps,
    mask_of,
    stacked,
    start_of,
    turned,
    unstacked,
)

__all__ = ["dynamic_loop", "leave", "static_rnn"]

v1 = tf.compat.v1


def dynamic_loop(
    context: TraceContext,
    original: Any,
    cell: Any,
    inputs: Any,
    initial_state: Any,
    *args: Any,
    sequence_length: Any = None,
    **kwargs: Any,
) -> Any:
    """`_dynamic_rnn_loop`, time-major: the cell's parts become markers."""
    reason = why_left(cell, inputs, initial_state)
    if not reason:
        x = turned(inputs)
        run = LegacyRun(context, v1.get_variable_scope().name, mask_of(x, sequence_length))
        try:
            y, states = run_whole(run, cell, x, initial_state)
            return turned(y), states
        except Untraceable as error:
            reason = str(error)
    leave(context, cell, reason)
    with context.standing_aside():
        return original(
            cell, inputs, initial_state, *args, sequence_length=sequence_length, **kwargs
        )


def static_rnn(
    context: TraceContext,
    original: Any,
    cell: Any,
    inputs: Any,
    initial_state: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> Any:
    """`static_rnn` over a list of steps (B, …)."""
    reason = why_left(cell, inputs, initial_state)
    if not are_steps(inputs):
        reason = reason or "its steps are not tensors of one dtype and rank"
    if not reason:
        try:
            with v1.variable_scope(scope or "rnn") as varscope:
                x = stacked(inputs)
                run = LegacyRun(context, varscope.name, mask_of(x, sequence_length))
                y, states = run_whole(run, cell, x, start_of(cell, initial_state, x, dtype))
            return unstacked(y, len(inputs)), states
        except Untraceable as error:
            reason = str(error)
    leave(context, cell, reason)
    with context.standing_aside():
        return original(cell, inputs, initial_state, dtype, sequence_length, scope)


def leave(context: TraceContext, cell: Any, reason: str) -> None:
    """Remember that a loop goes to tf2onnx as it is, and why."""
    kind = type(cell).__name__
    name = v1.get_variable_scope().name or kind
    context.opaque.append(OpaqueLayer(name, kind, reason))
