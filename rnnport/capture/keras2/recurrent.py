"""Handlers that stand in for tf_keras's recurrent layers while tracing.

They bring the call into the form that Keras 3's has, batch first and states beside the sequence,
and hand it on.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from keras import tree

from rnnport.capture import layers
from rnnport.capture.context import OpaqueLayer, TraceContext
from rnnport.capture.conv_lstm import conv_lstm_start, is_conv_lstm
from rnnport.capture.framework import as_written, starts_by_itself
from rnnport.capture.keras2.cudnn import is_cudnn, standing_in
from rnnport.capture.keras2.dropout import masks_aside
from rnnport.capture.keras2.stateless import zero_start

__all__ = ["bidirectional_call", "conv_rnn_call", "cudnn_call", "rnn_call", "time_distributed_call"]


def rnn_call(
    context: TraceContext,
    original: Any,
    layer: Any,
    inputs: Any,
    mask: Any = None,
    training: Any = None,
    initial_state: Any = None,
    constants: Any = None,
) -> Any:
    """RNN.call, LSTM.call and GRU.call: one marker where the cells are standard."""
    layer = zero_start(layer)
    extra = {} if constants is None else {"constants": constants}

    def as_keras(*_: Any, **__: Any) -> Any:
        y = original(
            layer, inputs, mask=mask, training=training, initial_state=initial_state, **extra
        )
        return _swapped(layer, y)

    sequence, states, constants = _split(layer, inputs, initial_state, constants)
    reason = _obstacle(sequence)
    if reason:
        context.take_half()
        context.opaque.append(OpaqueLayer(layer.name, type(layer).__name__, reason))
        with context.standing_aside():
            return _swapped(layer, as_keras())
    if states is None and starts_by_itself(layer):
        states = layer.get_initial_state(sequence)
    if layer.time_major:
        sequence = tree.map_structure(_swap, sequence)
        mask = None if mask is None else _swap(tree.flatten(mask)[0])
    with masks_aside(layer.cell):
        outputs = layers.rnn_call(
            context, as_keras, layer, sequence, states, mask, training, constants
        )
    if layer.return_state and isinstance(outputs, tuple):
        outputs = list(outputs)
    return _swapped(layer, outputs)


def _obstacle(sequence: Any) -> str:
    """Why the call cannot be brought into Keras 3's form; empty where it can."""
    ragged = any(isinstance(leaf, tf.RaggedTensor) for leaf in tree.flatten(sequence))
    return "its sequence is ragged" if ragged else ""


def _split(
    layer: Any, inputs: Any, initial_state: Any, constants: Any = None
) -> tuple[Any, Any, Any]:
    """Sequence, initial state and constants, which functional models hand over in one list."""
    if not isinstance(inputs, list):
        return inputs, initial_state, constants
    count = getattr(layer, "_num_constants", 0) or 0
    end = len(inputs) - count
    return inputs[0], inputs[1:end] or initial_state, inputs[end:] if count else constants


def _swap(x: Any) -> Any:
    """Batch and time change places."""
    return tf.transpose(x, [1, 0, *range(2, len(x.shape))])


def _swapped(layer: Any, outputs: Any) -> Any:
    """The sequences among the outputs with batch and time exchanged, where time comes first."""
    if not (layer.time_major and layer.return_sequences):
        return outputs
    if not layer.return_state:
        return tree.map_structure(_swap, outputs)
    return [tree.map_structure(_swap, outputs[0]), *outputs[1:]]


def cudnn_call(
    context: TraceContext,
    original: Any,
    layer: Any,
    inputs: Any,
    mask: Any = None,
    training: Any = None,
    initial_state: Any = None,
) -> Any:
    """CuDNNLSTM.call and CuDNNGRU.call: as the plain layer of the same weights."""
    plain = standing_in(layer)
    own = as_written(type(plain), "call")
    return rnn_call(context, own, plain, inputs, mask, training, initial_state)


def conv_rnn_call(
    context: TraceContext,
    original: Any,
    layer: Any,
    inputs: Any,
    mask: Any = None,
    training: Any = None,
    initial_state: Any = None,
    constants: Any = None,
) -> Any:
    """ConvLSTM1D, 2D and 3D: their cell traced for one step, as Keras 3's."""
    layer = zero_start(layer)
    sequence, states, constants = _split(layer, inputs, initial_state, constants)
    if constants is not None or not is_conv_lstm(layer.cell):
        context.take_half()
        reason = "its cell is a convolution of its own kind"
        context.opaque.append(OpaqueLayer(layer.name, type(layer).__name__, reason))
        with context.standing_aside():
            return original(
                layer, inputs, mask=mask, training=training, initial_state=initial_state
            )
    if states is None and starts_by_itself(layer):
        states = layer.get_initial_state(sequence)
    elif states is None:
        states = conv_lstm_start(layer.cell, sequence)
    outputs = layers.rnn_call(context, original, layer, sequence, states, mask, training)
    return list(outputs) if isinstance(outputs, tuple) else outputs


def bidirectional_call(
    context: TraceContext,
    original: Any,
    layer: Any,
    inputs: Any,
    training: Any = None,
    mask: Any = None,
    initial_state: Any = None,
    constants: Any = None,
) -> Any:
    """Bidirectional.call: both directions in the input's time order and marked as a pair."""
    forward, backward = layer.forward_layer, layer.backward_layer
    plain = all(is_cudnn(one) or layers.plain_recurrent(one) for one in (forward, backward))
    if not plain or not backward.go_backwards or constants is not None or layer._num_constants:
        extra = {} if constants is None else {"constants": constants}
        return original(
            layer, inputs, training=training, mask=mask, initial_state=initial_state, **extra
        )
    sequence, states, _ = _split(layer, inputs, initial_state)
    merged = layers.both_directions(context, layer, sequence, states, mask, training)
    return list(merged) if isinstance(merged, tuple) else merged


def time_distributed_call(
    context: TraceContext,
    original: Any,
    layer: Any,
    inputs: Any,
    training: Any = None,
    mask: Any = None,
) -> Any:
    """TimeDistributed.call; elements of more than one tensor go tf_keras's own way."""
    if tree.is_nested(inputs) or isinstance(inputs, tf.RaggedTensor):
        with context.folded():
            return original(layer, inputs, training=training, mask=mask)
    return layers.time_distributed_call(context, original, layer, inputs, training, mask)
