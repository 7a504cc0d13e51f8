"""Which methods are routed while tracing, and which while running the TensorFlow reference."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import tree
from keras.src.layers.rnn.conv_lstm import ConvLSTMCell
from tensorflow.python.autograph.core import ag_ctx, converter
from tensorflow.python.autograph.impl import api as autograph_api
from tensorflow.python.eager.polymorphic_function.polymorphic_function import (
    Function as TensorFlowFunction,
)

from rnnport.capture import carried, dense, layers
from rnnport.capture.context import TraceContext
from rnnport.capture.conv_lstm import conv_lstm_cell_call
from rnnport.capture.intercept import Patch

__all__ = ["EAGER_PATCHES", "GRAPH_PATCHES", "TRACE_PATCHES", "TensorFlowFunction"]


def _inlined(context: TraceContext, original: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
    """Run an inner @tf.function as plain Python: no cached trace is read and none is left.

    Its tensor-dependent `if` and `while` are converted by AutoGraph, as TensorFlow would.
    """
    python = function.python_function
    if not getattr(function, "_autograph", True) or tf.executing_eagerly():
        return python(*args, **kwargs)
    options = converter.ConversionOptions(recursive=True, user_requested=True)
    with ag_ctx.ControlStatusCtx(status=ag_ctx.Status.ENABLED):
        return autograph_api.converted_call(python, args, kwargs, options=options)


def _any_length(context: TraceContext, original: Any, layer: Any, arg_0: Any) -> Any:
    """Let whole models take sizes other than the ones their Input fixed."""
    if not isinstance(layer, keras.Model):
        original(layer, arg_0)


def _tracked(context: TraceContext, original: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
    """Remember the innermost layer an exception comes out of."""
    try:
        return original(layer, *args, **kwargs)
    except BaseException:
        context.failed_in = context.failed_in or layer.name
        raise


def _from_zero(
    context: TraceContext,
    original: Any,
    layer: Any,
    sequences: Any,
    initial_state: Any = None,
    mask: Any = None,
    training: Any = False,
) -> Any:
    """A stateful layer run from zero state, its own state neither read nor written."""
    if not layer.stateful:
        return original(layer, sequences, initial_state=initial_state, mask=mask, training=training)
    if initial_state is None:
        initial_state = layer.get_initial_state(batch_size=tf.shape(sequences)[0])
    states = list(initial_state) if tree.is_nested(initial_state) else [initial_state]
    last, outputs, finals = layer.inner_loop(
        sequences=sequences, initial_state=states, mask=mask, training=training
    )
    output = outputs if layer.return_sequences else last
    return (output, *finals) if layer.return_state else output


def _mapped(
    context: TraceContext,
    original: Any,
    layer: Any,
    inputs: Any,
    training: Any = None,
    mask: Any = None,
) -> Any:
    """TimeDistributed as its definition says, step by step.

    Keras's own, traced with an open time axis, gives outputs whose time axis is the batch size.
    """
    if inputs.shape[1] is not None:
        return original(layer, inputs, training=training, mask=mask)
    elements = {"x": _swap(inputs)}
    if mask is not None:
        elements["mask"] = _swap(mask)

    def step(given: dict[str, Any]) -> Any:
        extra = layers.element_arguments(layer.layer, given.get("mask"), training)
        return layer.layer.call(given["x"], **extra)

    return _swap(tf.map_fn(step, elements, fn_output_signature=tf.float32))


def _swap(x: Any) -> Any:
    """Batch and time change places."""
    return tf.transpose(x, [1, 0, *range(2, len(x.shape))])


_SHARED = [
    Patch(TensorFlowFunction, "__call__", _inlined),
    Patch(keras.layers.Layer, "_assert_input_compatibility", _any_length),
    Patch(keras.layers.Layer, "__call__", _tracked),
]

EAGER_PATCHES = [*_SHARED, Patch(keras.layers.RNN, "call", _from_zero)]

GRAPH_PATCHES = [*EAGER_PATCHES, Patch(keras.layers.TimeDistributed, "call", _mapped)]

TRACE_PATCHES = [
    *_SHARED,
    Patch(keras.layers.RNN, "call", layers.rnn_call),
    Patch(keras.layers.Bidirectional, "call", layers.bidirectional_call),
    Patch(keras.layers.TimeDistributed, "call", layers.time_distributed_call),
    Patch(keras.layers.LSTMCell, "call", layers.cell_call),
    Patch(keras.layers.GRUCell, "call", layers.cell_call),
    Patch(keras.layers.SimpleRNNCell, "call", layers.cell_call),
    Patch(ConvLSTMCell, "call", conv_lstm_cell_call),
    Patch(keras.layers.Embedding, "call", layers.embedding_call),
    Patch(keras.layers.Masking, "call", layers.masking_call),
    Patch(keras.layers.Dense, "call", dense.dense_call),
    Patch(keras.layers.Conv1D, "call", carried.conv_call),
    Patch(keras.layers.Conv1D, "_compute_causal_padding", carried.causal_padding),
    Patch(keras.layers.ZeroPadding1D, "call", carried.padding_call),
    Patch(keras.layers.GlobalAveragePooling1D, "call", carried.average_call),
    Patch(keras.layers.GlobalMaxPooling1D, "call", carried.maximum_call),
]
