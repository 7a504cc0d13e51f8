"""ConvLSTM layers of a stack as source text."""

from __future__ import annotations

from math import prod
from typing import Any

from tests.sweep.code import Raw, call_text
from tests.sweep.drawn import Drawn
from tests.sweep.layer_code import activation
from tests.sweep.stack import Layer

_PIXELS = {"ConvLSTM1D": (6,), "ConvLSTM2D": (3, 2), "ConvLSTM3D": (2, 3, 2)}


def convolutional(drawn: Drawn, layer: Layer, x: str, call: dict[str, Any], sequences: bool) -> str:
    """(B, T, F) seen as T small images of one channel."""
    code, time = drawn.code, drawn.time or -1
    pixels = _PIXELS[layer.kind]
    x = code.through(f"layers.Dense({prod(pixels)})", x)
    x = code.through(call_text("layers.Reshape", (time, *pixels, 1)), x)
    filters, given = 1 + layer.units % 3, _options(layer, len(pixels))
    inner = call_text(
        f"layers.{layer.kind}",
        filters,
        **given,
        return_sequences=sequences,
        activation=activation(code, layer.activation),
        recurrent_activation=activation(code, layer.recurrent_activation),
        use_bias=layer.use_bias,
        dropout=layer.dropout,
        recurrent_dropout=layer.dropout,
        go_backwards=layer.go_backwards and not layer.wrapper,
        stateful=layer.stateful,
        **({"unroll": True} if layer.unroll else {}),
    )
    if layer.wrapper:
        inner = call_text("layers.Bidirectional", inner, merge_mode=layer.wrapper)
        filters *= 2 if layer.wrapper == "concat" else 1
    x = code.value("x", call_text(code.layer(inner), Raw(x), **call))
    drawn.width = filters * prod(_left(size, **given) for size in pixels)
    flat = (time, drawn.width) if sequences else (drawn.width,)
    return code.through(call_text("layers.Reshape", flat), x)


def _options(layer: Layer, rank: int) -> dict[str, Any]:
    """Kernel, padding, strides and dilation, told apart by units."""
    odd = layer.units % 2
    if rank > 1 and layer.units % 3 == 0:
        return {"kernel_size": 2, "padding": "valid"}
    if layer.units % 5 == 2:
        return {"kernel_size": 3, "padding": "same", "strides": 2}
    if layer.units % 5 == 3:
        return {"kernel_size": 2, "padding": "same", "dilation_rate": 2}
    return {"kernel_size": 1 + layer.units % 4 if rank == 1 else 1 + odd, "padding": "same"}


def _left(
    size: int, kernel_size: int, padding: str, strides: int = 1, dilation_rate: int = 1
) -> int:
    """Pixels along one axis of what a convolution gives."""
    span = dilation_rate * (kernel_size - 1) if padding == "valid" else 0
    return -(-(size - span) // strides)
