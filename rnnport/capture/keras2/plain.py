"""Handlers for tf_keras's layers without recurrence."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from rnnport.capture.carried import context_length, prefixed
from rnnport.capture.context import TraceContext

__all__ = ["conv_call", "dense_call"]


def dense_call(context: TraceContext, original: Any, layer: Any, inputs: Any) -> Any:
    """Dense.call over a sequence as one matrix product; see `rnnport.capture.dense`."""
    if not isinstance(inputs, tf.Tensor) or len(inputs.shape) < 3 or inputs.dtype != tf.float32:
        return original(layer, inputs)
    y = tf.matmul(inputs, layer.kernel)
    if layer.use_bias:
        y = y + layer.bias
    return y if layer.activation is None else layer.activation(y)


def conv_call(context: TraceContext, original: Any, layer: Any, inputs: Any) -> Any:
    """A causal Conv1D behind its left context, which a stream carries."""
    length = context_length(layer, inputs)
    if not length or layer.groups != 1:
        return original(layer, inputs)
    y = layer.convolution_op(prefixed(context, layer, inputs, length), layer.kernel)
    if layer.use_bias:
        y = y + layer.bias
    return y if layer.activation is None else layer.activation(y)
