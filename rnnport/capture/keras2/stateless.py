"""Recurrent layers of tf_keras run from zero state, their own state neither read nor written."""

from __future__ import annotations

import copy
from typing import Any

from rnnport.capture.context import TraceContext
from rnnport.capture.keras2.cudnn import standing_in
from rnnport.capture.keras2.dropout import masks_aside

__all__ = ["conv_from_zero", "cudnn_from_zero", "from_zero", "zero_start"]


def zero_start(layer: Any) -> Any:
    """The layer itself, or a view of a stateful one that keeps no state; weights are shared."""
    if not layer.stateful:
        return layer
    view = copy.copy(layer)
    view.stateful = False
    return view


def from_zero(
    context: TraceContext, original: Any, layer: Any, inputs: Any, *args: Any, **kwargs: Any
) -> Any:
    """RNN.call, LSTM.call and GRU.call from zero state."""
    return original(zero_start(layer), inputs, *args, **kwargs)


def conv_from_zero(
    context: TraceContext, original: Any, layer: Any, inputs: Any, *args: Any, **kwargs: Any
) -> Any:
    """ConvRNN.call from zero state, at any batch size."""
    with masks_aside(layer.cell):
        return original(zero_start(layer), inputs, *args, **kwargs)


def cudnn_from_zero(
    context: TraceContext,
    original: Any,
    layer: Any,
    inputs: Any,
    mask: Any = None,
    training: Any = None,
    initial_state: Any = None,
) -> Any:
    """CuDNNLSTM.call and CuDNNGRU.call, computed by the layer that runs everywhere."""
    return standing_in(layer).call(inputs, mask, training, initial_state)
