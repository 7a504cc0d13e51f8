"""Symmetric int8, one scale a channel: q · scale is as near to the weights as it gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALL_BITS", "SAFE_BITS", "Quantised", "fits", "quantise"]

ALL_BITS = 127
SAFE_BITS = 64
"""Largest |q| of weights that integer kernels multiply: processors without VNNI add two products of
a uint8 and an int8 in 16 bits, which 255 · 64 · 2 still fits and 255 · 127 · 2 does not."""

# What is larger is no weight but holds a masked step's state; its scale leaves nothing of others.
_LARGE = 1e4


@dataclass(frozen=True, eq=False)
class Quantised:
    """Weights in int8.

    Attributes:
        q: of the weights' shape, int8.
        scale: float32, 1 along the axes that share one.
    """

    q: NDArray[np.int8]
    scale: NDArray[np.float32]

    @property
    def value(self) -> NDArray[np.float32]:
        """The weights that q stands for."""
        return self.q.astype(np.float32) * self.scale


def fits(weights: NDArray[Any]) -> bool:
    """Whether these are weights that a scale can be found for."""
    return bool(weights.size and np.abs(weights).max() < _LARGE)


def quantise(weights: NDArray[Any], axes: tuple[int, ...], most: int = ALL_BITS) -> Quantised:
    """Round to int8.

    Args:
        weights: finite float32 of any shape.
        axes: those along which a scale is shared: the ones a product sums over.
        most: the largest |q|, ALL_BITS or SAFE_BITS.
    """
    largest = np.abs(weights).max(axis=axes, keepdims=True)
    scale = np.where(largest > 0, largest / most, 1.0).astype(np.float32)
    q = np.clip(np.rint(weights / scale), -most, most).astype(np.int8)
    return Quantised(q, scale)
