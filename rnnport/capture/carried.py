"""Handlers for layers that a stream must carry something for, though they are not recurrent."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from rnnport.capture.context import TraceContext
from rnnport.capture.marker import emit
from rnnport.carried import ContextSpec, PoolKind, PoolSpec

__all__ = [
    "average_call",
    "causal_padding",
    "context_length",
    "conv_call",
    "maximum_call",
    "padding_call",
    "prefixed",
]

_NO_PADDING = [[0, 0], [0, 0], [0, 0]]


def conv_call(context: TraceContext, original: Any, layer: Any, inputs: Any) -> Any:
    """A causal Conv1D has its left context marked; the rest is Keras's own call."""
    length = context_length(layer, inputs)
    if not length:
        return original(layer, inputs)
    inputs = prefixed(context, layer, inputs, length)
    context.prefixed = True
    try:
        return original(layer, inputs)
    finally:
        context.prefixed = False


def context_length(layer: Any, inputs: Any) -> int:
    """How many steps a causal Conv1D looks back; 0 where nothing is carried for it."""
    length = int(layer.dilation_rate[0] * (layer.kernel_size[0] - 1))
    causal = layer.padding == "causal" and tuple(layer.strides) == (1,)
    return length if causal and _can_carry(layer, inputs) else 0


def causal_padding(context: TraceContext, original: Any, layer: Any) -> Any:
    """No zeros in front where the context stands there already."""
    return _NO_PADDING if context.prefixed else original(layer)


def padding_call(context: TraceContext, original: Any, layer: Any, inputs: Any) -> Any:
    """ZeroPadding1D on the left alone: how other convolutions are made causal."""
    left, right = layer.padding
    if right or not left or not _can_carry(layer, inputs):
        return original(layer, inputs)
    return prefixed(context, layer, inputs, int(left))


def average_call(
    context: TraceContext, original: Any, layer: Any, inputs: Any, mask: Any = None
) -> Any:
    """GlobalAveragePooling1D: the mean over all (valid) steps."""
    if not _can_carry(layer, inputs):
        return original(layer, inputs, mask=mask)
    return _pooled(context, layer, "mean", inputs, mask)


def maximum_call(context: TraceContext, original: Any, layer: Any, inputs: Any) -> Any:
    """GlobalMaxPooling1D: the maximum over all steps; Keras ignores masks here."""
    if not _can_carry(layer, inputs):
        return original(layer, inputs)
    return _pooled(context, layer, "max", inputs, None)


def _can_carry(layer: Any, inputs: Any) -> bool:
    last = getattr(layer, "data_format", "channels_last") in (None, "channels_last")
    sizes = len(inputs.shape) == 3 and inputs.shape[2] is not None
    return last and sizes and inputs.dtype == tf.float32


def prefixed(context: TraceContext, layer: Any, x: Any, length: int) -> Any:
    """The sequence with its left context in front, (B, length + T, F)."""
    batch, time, features = x.shape
    spec = ContextSpec(
        layer.name, type(layer).__name__, length, int(features), inner=context.inner > 0
    )
    whole = None if time is None else time + length
    return emit(context, spec, [x], [[batch, whole, features]])[0]


def _pooled(context: TraceContext, layer: Any, kind: PoolKind, x: Any, mask: Any) -> Any:
    batch, _, features = x.shape
    spec = PoolSpec(
        name=layer.name,
        layer_kind=type(layer).__name__,
        kind=kind,
        features=int(features),
        has_mask=mask is not None,
        inner=context.inner > 0,
    )
    masks = [] if mask is None else [tf.cast(mask, tf.bool)]
    pooled = emit(context, spec, [x, *masks], [[batch, features]])[0]
    return tf.expand_dims(pooled, 1) if layer.keepdims else pooled
