"""Which methods of tf_keras are routed while tracing, and which while running the reference."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import tensorflow as tf

from rnnport.capture import carried, layers
from rnnport.capture.context import TraceContext
from rnnport.capture.framework import keras2
from rnnport.capture.intercept import Patch
from rnnport.capture.keras2 import plain, recurrent, stateless

__all__ = ["eager_patches", "trace_patches"]


def _any_length(
    context: TraceContext, original: Any, input_spec: Any, inputs: Any, layer_name: str
) -> None:
    """Let models and recurrent layers take batch sizes and lengths other than they were built for.

    Features, and the axes a layer asks for, are checked as ever.
    """
    loose = [_loosened(spec) for spec in tf.nest.flatten(input_spec)] if input_spec else None
    original(loose, inputs, layer_name)


def _unregistered(
    context: TraceContext, original: Any, function: Any, *args: Any, **_: Any
) -> None:
    """The GPU's variant of an LSTM or GRU, and its gradient, are not traced beside the CPU's."""


def _as_built(context: TraceContext, original: Any, model: Any, *args: Any) -> Any:
    """A Sequential whose shape was inferred once is not built anew for another one."""
    return None if model._graph_initialized else original(model, *args)


def _loosened(spec: Any) -> Any:
    if getattr(spec, "shape", None) is None:
        return spec
    spec = copy.copy(spec)
    spec.shape = tuple(None if axis < 2 else size for axis, size in enumerate(spec.shape))
    return spec


@cache
def _shared() -> list[Patch]:
    from tf_keras.src.engine import input_spec
    from tf_keras.src.layers.rnn import gru_lstm_utils

    from rnnport.capture.patches import tracked

    return [
        Patch(keras2().layers.Layer, "__call__", tracked),
        Patch(keras2().module.Sequential, "_build_graph_network_for_inferred_shape", _as_built),
        Patch(gru_lstm_utils, "function_register", _unregistered),
        Patch(input_spec, "assert_input_compatibility", _any_length),
    ]


@cache
def eager_patches() -> list[Patch]:
    """For the reference, eager or as a graph."""
    from tf_keras.src.layers.rnn import base_conv_rnn, base_cudnn_rnn, base_rnn, gru, lstm

    stateful = (base_rnn.RNN, lstm.LSTM, gru.GRU)
    return [
        *_shared(),
        *(Patch(owner, "call", stateless.from_zero) for owner in stateful),
        Patch(base_conv_rnn.ConvRNN, "call", stateless.conv_from_zero),
        Patch(base_cudnn_rnn._CuDNNRNN, "call", stateless.cudnn_from_zero),
    ]


@cache
def trace_patches() -> list[Patch]:
    """For tracing."""
    from tf_keras.src.layers.rnn import base_conv_rnn, base_cudnn_rnn, base_rnn, gru, lstm

    owner = keras2().layers
    return [
        *_shared(),
        *(Patch(rnn, "call", recurrent.rnn_call) for rnn in (base_rnn.RNN, lstm.LSTM, gru.GRU)),
        Patch(base_conv_rnn.ConvRNN, "call", recurrent.conv_rnn_call),
        Patch(base_cudnn_rnn._CuDNNRNN, "call", recurrent.cudnn_call),
        Patch(owner.Bidirectional, "call", recurrent.bidirectional_call),
        Patch(owner.TimeDistributed, "call", recurrent.time_distributed_call),
        Patch(owner.LSTMCell, "call", layers.cell_call),
        Patch(owner.GRUCell, "call", layers.cell_call),
        Patch(owner.SimpleRNNCell, "call", layers.cell_call),
        Patch(owner.Embedding, "call", layers.embedding_call),
        Patch(owner.Masking, "call", layers.masking_call),
        Patch(owner.Dense, "call", plain.dense_call),
        Patch(owner.Conv1D, "call", plain.conv_call),
        Patch(owner.ZeroPadding1D, "call", carried.padding_call),
        Patch(owner.GlobalAveragePooling1D, "call", carried.average_call),
        Patch(owner.GlobalMaxPooling1D, "call", carried.maximum_call),
    ]
