"""ConvLSTM's cell with one convolution a side instead of one for every gate."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from rnnport.capture.context import TraceContext

__all__ = ["conv_lstm_cell_call"]


def conv_lstm_cell_call(
    context: TraceContext, original: Any, cell: Any, inputs: Any, states: Any, training: Any = False
) -> Any:
    """ConvLSTMCell.call at inference: filters do not see one another, so four gates are one.

    Formula: Keras ConvLSTMCell, after Shi et al. 2015 (arXiv:1506.04214) without peepholes.

    Args:
        context: the trace.
        original: Keras's own call.
        cell: a ConvLSTMCell.
        inputs: one step, (B, …, C) or channels first.
        states: h and c.
        training: not at inference.
    """
    h, c = states
    first = cell.data_format == "channels_first"
    axis = 1 if first else -1
    fed = cell.input_conv(inputs, cell.kernel, padding=cell.padding)
    if cell.use_bias:
        bias = tf.convert_to_tensor(cell.bias)
        fed += tf.reshape(bias, [-1, *[1] * cell.rank]) if first else bias
    gates = fed + cell.recurrent_conv(h, cell.recurrent_kernel)
    i, f, candidate, o = tf.split(gates, 4, axis=axis)
    gate, activation = cell.recurrent_activation, cell.activation
    c = gate(f) * c + gate(i) * activation(candidate)
    h = gate(o) * activation(c)
    return h, [h, c]
