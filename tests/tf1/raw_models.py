"""Loops of raw_rnn that look like a cell run over a sequence: those that are, and those that not.

Every one reads the sequence; only the first two read it step by step and pass it on as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tests.tf1.cases import SMALL, N, case

v1 = tf.compat.v1
nn = v1.nn
cells = v1.nn.rnn_cell


def run(
    x: Any, read: Callable[..., Any], over: Callable[[Any, Any], Any], first: Any = None
) -> Any:
    """raw_rnn of a GRU over x (B, T, 6).

    Args:
        x: the sequence.
        read: array, time, finished and output to the next input.
        over: time and output to which rows have ended.
        first: which rows have ended before they began, where `over` does not tell.
    """
    cell, batch = cells.GRUCell(7), tf.shape(x)[0]
    array = tf.TensorArray(tf.float32, size=tf.shape(x)[1], clear_after_read=False)
    array = array.unstack(tf.transpose(x, [1, 0, 2]))

    def loop(time: Any, output: Any, state: Any, _: Any) -> Any:
        begins = output is None
        following = cell.zero_state(batch, tf.float32) if begins else state
        finished = first if begins and first is not None else over(time, output)
        taken = read(array, time, finished, output)
        taken.set_shape([None, 6])
        return finished, taken, following, output, None

    y, s, _ = nn.raw_rnn(cell, loop)
    return tf.transpose(y.stack(), [1, 0, 2]), s


def guarded(finished: Any, batch: Any, value: Callable[[], Any]) -> Any:
    return tf.cond(tf.reduce_all(finished), lambda: tf.zeros([batch, 6]), value)


@case(SMALL, N)
def t6_raw_guarded_the_other_way(x: Any, n: Any) -> Any:
    """Not all rows have ended: read; the condition is computed anew."""

    def read(array: Any, time: Any, _: Any, __: Any) -> Any:
        more = tf.logical_not(tf.reduce_all(time >= n))
        return tf.cond(more, lambda: array.read(time), lambda: tf.zeros_like(x[:, 0]))

    return run(x, read, lambda time, _: time >= n)


@case(SMALL, N)
def t6_raw_begins_in_any_case(x: Any, n: Any) -> Any:
    """A row of length 0 takes a step all the same: the first call says that none has ended."""

    def read(array: Any, time: Any, finished: Any, _: Any) -> Any:
        return guarded(finished, tf.shape(x)[0], lambda: array.read(time))

    none = tf.fill([tf.shape(x)[0]], False)
    return run(x, read, lambda time, _: time >= tf.maximum(n, 1), first=none)


@case(SMALL, N)
def t6_raw_scaled(x: Any, n: Any) -> Any:
    def read(array: Any, time: Any, finished: Any, _: Any) -> Any:
        return guarded(finished, tf.shape(x)[0], lambda: 0.5 * array.read(time))

    return run(x, read, lambda time, _: time >= n)


@case(SMALL)
def t6_raw_reversed(x: Any) -> Any:
    batch, steps = tf.shape(x)[0], tf.shape(x)[1]

    def read(array: Any, time: Any, finished: Any, _: Any) -> Any:
        return guarded(finished, batch, lambda: array.read(steps - 1 - time))

    return run(x, read, lambda time, _: time >= tf.fill([batch], steps))


@case(SMALL, N)
def t6_raw_read_and_fed_back(x: Any, n: Any) -> Any:
    def read(array: Any, time: Any, finished: Any, output: Any) -> Any:
        taken = guarded(finished, tf.shape(x)[0], lambda: array.read(time))
        return taken if output is None else taken + output[:, :6]

    return run(x, read, lambda time, _: time >= n)


@case(SMALL)
def t6_raw_stops_by_its_output(x: Any) -> Any:
    batch, steps = tf.shape(x)[0], tf.shape(x)[1]

    def over(time: Any, output: Any) -> Any:
        late = time >= tf.fill([batch], steps)
        return late if output is None else tf.logical_or(late, output[:, 0] > 0.3)

    def read(array: Any, time: Any, finished: Any, _: Any) -> Any:
        return guarded(finished, batch, lambda: array.read(time))

    return run(x, read, over)


@case(SMALL, N)
def t6_raw_silent_after_two_steps(x: Any, n: Any) -> Any:
    """Zeros in place of steps that rows still run."""

    def read(array: Any, time: Any, finished: Any, _: Any) -> Any:
        silent = tf.logical_or(tf.reduce_all(finished), time > 1)
        return tf.cond(silent, lambda: tf.zeros_like(x[:, 0]), lambda: array.read(time))

    return run(x, read, lambda time, _: time >= n)
