"""Sequences of TensorFlow 1: lists of steps, lengths, time before batch, states of zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from rnnport.capture.specs import static_shape

__all__ = ["all_zeros", "are_steps", "mask_of", "stacked", "start_of", "turned", "unstacked"]

nest = tf.nest


def turned(x: Any) -> Any:
    """(T, B, …) to (B, T, …) and back, every tensor of a nest."""

    def one(tensor: Any) -> Any:
        return tf.transpose(tensor, [1, 0, *range(2, len(tensor.shape))])

    return nest.map_structure(one, x)


def mask_of(x: Any, lengths: Any) -> Any:
    """Valid steps (B, T) from their number in each row; None where there is none."""
    if lengths is None:
        return None
    first = nest.flatten(x)[0]
    time = static_shape(first)[1] or tf.shape(first)[1]
    return tf.sequence_mask(tf.cast(lengths, tf.int32), time)


def start_of(cell: Any, state: Any, x: Any, dtype: Any) -> Any:
    """The initial state given, or the cell's own for sequences (B, T, …)."""
    if state is not None:
        return state
    first = nest.flatten(x)[0]
    batch = static_shape(first)[0] or tf.shape(first)[0]
    own = getattr(cell, "get_initial_state", None)
    if own is not None:
        return own(inputs=None, batch_size=batch, dtype=dtype or tf.float32)
    return cell.zero_state(batch, dtype or tf.float32)


def all_zeros(tensor: Any) -> bool:
    """Whether a tensor is made of nothing but zeros, as zero_state makes it."""
    if tensor.op.type == "ZerosLike":
        return True
    value = tf.get_static_value(tensor)
    if value is None and tensor.op.type == "Fill":
        value = tf.get_static_value(tensor.op.inputs[1])
    return value is not None and not np.any(value)


def are_steps(inputs: Any) -> bool:
    """Whether these are the steps of one sequence, (B, …) each."""
    flat = nest.flatten(inputs)
    if not isinstance(inputs, (list, tuple)) or not len(flat) == len(inputs) > 0:
        return False
    return all(x.dtype == flat[0].dtype and len(x.shape) == len(flat[0].shape) > 1 for x in flat)


def stacked(steps: Sequence[Any]) -> Any:
    """The sequence (B, T, …); the one that was taken apart, where that is what the steps are."""
    first = steps[0].op
    if first.type == "Unpack" and [s.op for s in steps] == [first] * len(first.outputs):
        axis = first.get_attr("axis")
        if axis in (0, 1) and [s.value_index for s in steps] == list(range(len(steps))):
            whole = first.inputs[0]
            return whole if axis == 1 else turned(whole)
    return tf.stack(list(steps), axis=1)


def unstacked(y: Any, count: int) -> list[Any]:
    """The steps of (B, T, …), nested as y is.

    The last one is cut off by itself, so that any length has one.
    """
    flat = [[*tf.unstack(t, num=count, axis=1)[:-1], t[:, -1]] for t in nest.flatten(y)]
    return [nest.pack_sequence_as(y, list(step)) for step in zip(*flat, strict=True)]
