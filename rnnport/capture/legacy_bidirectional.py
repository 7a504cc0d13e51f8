"""Handlers for TensorFlow 1's bidirectional functions: both directions become a pair of markers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import tensorflow as tf

from rnnport.capture.context import TraceContext
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

__all__ = ["bidirectional_rnn", "static_bidirectional_rnn"]

v1 = tf.compat.v1
nest = tf.nest


def bidirectional_rnn(
    context: TraceContext,
    original: Any,
    cell_fw: Any,
    cell_bw: Any,
    inputs: Any,
    sequence_length: Any = None,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    parallel_iterations: Any = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> Any:
    """`bidirectional_dynamic_rnn`: both directions in the input's time order.

    What cannot be caught as a pair runs as it is, so that each direction is looked at by itself.
    """
    cells, starts = (cell_fw, cell_bw), (initial_state_fw, initial_state_bw)
    if not any(why_left(c, inputs, s) for c, s in zip(cells, starts, strict=True)):
        x = nest.map_structure(tf.convert_to_tensor, inputs)
        x = turned(x) if time_major else x
        try:
            with v1.variable_scope(scope or "bidirectional_rnn"):
                outputs, states = _both(context, cells, x, starts, sequence_length, dtype)
            return (turned(outputs) if time_major else outputs), states
        except Untraceable:
            pass
    return original(
        cell_fw,
        cell_bw,
        inputs,
        sequence_length=sequence_length,
        initial_state_fw=initial_state_fw,
        initial_state_bw=initial_state_bw,
        dtype=dtype,
        parallel_iterations=parallel_iterations,
        swap_memory=swap_memory,
        time_major=time_major,
        scope=scope,
    )


def static_bidirectional_rnn(
    context: TraceContext,
    original: Any,
    cell_fw: Any,
    cell_bw: Any,
    inputs: Any,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> Any:
    """The same over a list of steps."""
    cells, starts = (cell_fw, cell_bw), (initial_state_fw, initial_state_bw)
    left = any(why_left(c, inputs, s) for c, s in zip(cells, starts, strict=True))
    if not left and are_steps(inputs):
        try:
            with v1.variable_scope(scope or "bidirectional_rnn"):
                x = stacked(inputs)
                (y, y_rev), states = _both(context, cells, x, starts, sequence_length, dtype)
            flat = zip(nest.flatten(y), nest.flatten(y_rev), strict=True)
            joined = nest.pack_sequence_as(y, [tf.concat(pair, axis=2) for pair in flat])
            return (unstacked(joined, len(inputs)), *states)
        except Untraceable:
            pass
    return original(cell_fw, cell_bw, inputs, *starts, dtype, sequence_length, scope)


def _both(
    context: TraceContext,
    both: tuple[Any, Any],
    x: Any,
    starts: tuple[Any, Any],
    lengths: Any,
    dtype: Any,
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Outputs and final states of both directions of a bidirectional call, x (B, T, …)."""
    name = v1.get_variable_scope().name
    run = LegacyRun(context, name, mask_of(x, lengths), pair=context.unique(f"{name}/pair"))
    found = []
    for label, cell, start in zip(("fw", "bw"), both, starts, strict=True):
        with v1.variable_scope(label) as scope:
            one = replace(run, name=scope.name, backwards=label == "bw")
            found.append(run_whole(one, cell, x, start_of(cell, start, x, dtype)))
    (y, last), (y_rev, last_rev) = found
    return (y, y_rev), (last, last_rev)
