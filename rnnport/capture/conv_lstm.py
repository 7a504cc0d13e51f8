"""ConvLSTM's cell with one convolution a side instead of one for every gate, channels first.

Channels first is how ONNX convolves: with the states in that order no step transposes anything.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from keras.src.layers.rnn.conv_lstm import ConvLSTMCell

from rnnport.capture.framework import as_written

__all__ = ["conv_lstm_start", "conv_lstm_step", "is_conv_lstm"]

_CALL = ConvLSTMCell.call


def is_conv_lstm(cell: Any) -> bool:
    """Whether the cell computes as Keras's own ConvLSTMCell; tf_keras's is the same."""
    own = as_written(type(cell), "call")
    if own is _CALL:
        return True
    module = getattr(own, "__module__", "")
    return module == "tf_keras.src.layers.rnn.base_conv_lstm"


def conv_lstm_start(cell: Any, sequences: Any) -> list[Any]:
    """Zeros for h and c, as the layer has them.

    Args:
        cell: a built ConvLSTMCell.
        sequences: (B, T, …, C) or channels first.
    """
    first = cell.data_format == "channels_first"
    behind = list(sequences.shape[2:])
    inside = behind if first else [behind[-1], *behind[:-1]]
    probe = tf.zeros([1, *inside])
    y = _convolved(probe, cell.kernel, cell.padding, cell.strides, cell.dilation_rate)
    sizes = [cell.filters, *y.shape[2:]] if first else [*y.shape[2:], cell.filters]
    return [tf.zeros([tf.shape(sequences)[0], *sizes]) for _ in range(2)]


def conv_lstm_step(cell: Any, x: Any, states: Any) -> tuple[Any, list[Any]]:
    """One step at inference; filters do not see one another, so the four gates are one product.

    Formula: Keras ConvLSTMCell, after Shi et al. 2015 (arXiv:1506.04214) without peepholes.

    Args:
        cell: a built ConvLSTMCell.
        x: (B, C, …)
        states: h and c, (B, filters, …) each.

    Returns:
        The output and the new states, channels first.
    """
    h, c = states
    gates = _convolved(x, cell.kernel, cell.padding, cell.strides, cell.dilation_rate)
    if cell.use_bias:
        gates += tf.reshape(tf.convert_to_tensor(cell.bias), [-1, *[1] * cell.rank])
    gates += _convolved(h, cell.recurrent_kernel, "same", [1] * cell.rank, [1] * cell.rank)
    i, f, candidate, o = tf.split(gates, 4, axis=1)
    gate, activation = cell.recurrent_activation, cell.activation
    c = gate(f) * c + gate(i) * activation(candidate)
    h = gate(o) * activation(c)
    return h, [h, c]


def _convolved(x: Any, kernel: Any, padding: str, strides: Any, dilations: Any) -> Any:
    kernel, strides, dilations = tf.convert_to_tensor(kernel), list(strides), list(dilations)
    flat = len(x.shape) == 3
    if flat:  # TensorFlow dilates one axis by way of others; ONNX need not know
        x, kernel = tf.expand_dims(x, 2), tf.expand_dims(kernel, 0)
        strides, dilations = [1, *strides], [1, *dilations]
    y = tf.nn.convolution(
        x,
        kernel,
        strides=strides,
        padding=padding.upper(),
        data_format="NCDHW" if len(x.shape) == 5 else "NCHW",
        dilations=dilations,
    )
    return tf.squeeze(y, 2) if flat else y
