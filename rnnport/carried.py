"""Layers without recurrence that a stream must carry something for.

A causal convolution needs the steps in front of the chunk; a pooling over all time needs what it
has gathered so far. In the skeleton each is a node of its own, so that the whole form can start it
from nothing and the stream form from a state. Axis letters: B batch, T time, F features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ContextSpec", "PoolKind", "PoolSpec"]

PoolKind = Literal["mean", "max"]


@dataclass(frozen=True)
class ContextSpec:
    """Steps put in front of a sequence: zeros at its beginning, the steps before it later on.

    Node inputs: sequence (B, T, F), then in a stream the context (B, length, F).
    Node outputs: (B, length + T, F), then in a stream the next context.

    Attributes:
        name: the layer's name.
        layer_kind: what to call the layer in reports.
        length: dilation × (kernel size − 1) for a causal convolution.
        features: F.
        inner: starts anew for every step of an outer sequence; never carried.
        stream: takes and gives its context.
    """

    name: str
    layer_kind: str
    length: int
    features: int
    inner: bool = False
    stream: bool = False


@dataclass(frozen=True)
class PoolSpec:
    """The mean or the maximum over all time so far.

    Node inputs: sequence (B, T, F), the mask (B, T) bool where `has_mask`; then in a stream the
    running value (B, F), float64 sum or float32 maximum, and the count (B, 1) int64 of its steps.
    Node outputs: (B, F), then in a stream the next running value and count.

    Attributes:
        name: the layer's name.
        layer_kind: what to call the layer in reports.
        kind: "mean" or "max".
        features: F.
        has_mask: masked steps do not count.
        inner: starts anew for every step of an outer sequence; never carried.
        stream: takes and gives its running value.
    """

    name: str
    layer_kind: str
    kind: PoolKind
    features: int
    has_mask: bool = False
    inner: bool = False
    stream: bool = False
