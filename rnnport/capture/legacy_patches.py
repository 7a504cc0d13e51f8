"""Which of TensorFlow 1's functions are routed while its code is built into a graph."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.ops import rnn
from tf_keras.src.layers.rnn import legacy_cell_wrappers, legacy_cells

from rnnport.capture import legacy_bidirectional, legacy_loops, legacy_raw, legacy_step
from rnnport.capture.intercept import Patch

__all__ = ["plain_patches", "trace_patches"]

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "bidirectional_dynamic_rnn": legacy_bidirectional.bidirectional_rnn,
    "static_bidirectional_rnn": legacy_bidirectional.static_bidirectional_rnn,
    "static_rnn": legacy_loops.static_rnn,
    "raw_rnn": legacy_raw.raw_rnn,
}


def plain_patches() -> list[Patch]:
    """For the reference: dropout wrappers stand aside, as in inference; nothing else."""
    owner = legacy_cell_wrappers.DropoutWrapper
    return [Patch(owner, "_call_wrapped_cell", legacy_step.dropout_wrapper, always=True)]


def trace_patches() -> list[Patch]:
    """For the trace: recurrent functions and cells become markers."""
    patches = [
        *plain_patches(),
        Patch(rnn, "_dynamic_rnn_loop", legacy_loops.dynamic_loop),
        Patch(legacy_cells.LayerRNNCell, "__call__", legacy_step.legacy_cell_call),
        Patch(tf.TensorArray, "unstack", legacy_raw.array_unstack),
        Patch(tf.TensorArray, "read", legacy_raw.array_read, always=True),
        Patch(tf.TensorArray, "stack", legacy_raw.array_stack),
    ]
    for name, handler in _FUNCTIONS.items():
        original = getattr(rnn, name)
        patches += [Patch(module, name, handler) for module in _holders(name, original)]
    return patches


def _holders(name: str, function: Any) -> list[Any]:
    """Every module that gives the function out under its own name: tf.compat.v1.nn and others."""
    return [
        module
        for module in list(sys.modules.values())
        if getattr(module, "__dict__", {}).get(name) is function
    ]
