"""CuDNNLSTM and CuDNNGRU run on a GPU alone: here the layers that compute the same anywhere.

cuDNN keeps each gate's input kernel in Fortran order, its recurrent kernel transposed, and a bias
for the input and one for the state.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import tensorflow as tf

from rnnport.capture.framework import keras2
from rnnport.recurrent import FloatArray

__all__ = ["is_cudnn", "standard_weights", "standing_in"]

_STANDING_IN: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def is_cudnn(layer: Any) -> bool:
    """Whether the layer is a CuDNNLSTM or a CuDNNGRU."""
    from tf_keras.src.layers.rnn.base_cudnn_rnn import _CuDNNRNN

    return isinstance(layer, _CuDNNRNN)


def standing_in(layer: Any) -> Any:
    """A plain LSTM or GRU of the same weights and options, kept as long as the layer.

    Args:
        layer: a built CuDNNLSTM or CuDNNGRU.
    """
    with tf.init_scope():
        found = _STANDING_IN.get(layer)
        if found is None:
            found = _STANDING_IN[layer] = _plain(layer)
        arrays = [np.asarray(w) for w in (layer.kernel, layer.recurrent_kernel, layer.bias)]
        found.set_weights(standard_weights(*arrays))
    return found


def standard_weights(
    kernel: FloatArray, recurrent_kernel: FloatArray, bias: FloatArray
) -> list[FloatArray]:
    """Weights of the plain layer.

    Args:
        kernel: cuDNN's.  # (F, G·U)
        recurrent_kernel: cuDNN's.  # (U, G·U)
        bias: input biases, then state biases.  # (2·G·U,)

    Returns:
        Kernel (F, G·U), recurrent kernel (U, G·U) and bias: summed (4·U,) for an LSTM, both
        (2, 3·U) for a GRU with reset_after.
    """
    gates = kernel.shape[1] // recurrent_kernel.shape[0]
    inputs = [k.T.reshape(k.shape, order="F") for k in np.hsplit(kernel, gates)]
    states = [k.T for k in np.hsplit(recurrent_kernel, gates)]
    both = bias.reshape(2, -1)
    return [np.hstack(inputs), np.hstack(states), both.sum(axis=0) if gates == 4 else both]


def _plain(layer: Any) -> Any:
    layers = keras2().layers
    gates = layer.kernel.shape[1] // layer.units
    make = layers.LSTM if gates == 4 else layers.GRU
    names = ("return_sequences", "return_state", "go_backwards", "time_major", "name")
    plain = make(layer.units, **{name: getattr(layer, name) for name in names})
    plain.build((None, None, int(layer.kernel.shape[0])))
    return plain
