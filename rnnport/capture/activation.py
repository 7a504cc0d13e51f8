"""Recognises an activation by what it computes, not by what it is called.

A function is fused when it equals, on a dense grid, one that ONNX's recurrent operators name
(ONNX operator schemas, LSTM: "Activation functions"). Anything else becomes a small ONNX graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnport.recurrent import Activation

__all__ = ["recognise"]

Array = NDArray[np.float32]

# Two units in the last place: the kernels' own sigmoid and tanh differ by as much from TensorFlow.
_SAME = 2.5e-7


def _grid() -> Array:
    dense = np.linspace(-12.0, 12.0, 4096, dtype=np.float32)
    wide = np.logspace(-8, 4, 512, dtype=np.float32)
    return np.concatenate([dense, wide, -wide, np.zeros(1, np.float32)])


def recognise(function: Callable[[Any], Any]) -> Activation | None:
    """Name the activation ONNX knows that `function` computes.

    Args:
        function: maps a float32 tensor to one of the same shape.

    Returns:
        The activation, or None where no named one is equal.
    """
    grid = _grid()
    flat = _evaluate(function, grid.reshape(1, -1))
    folded = _evaluate(function, grid[:-1].reshape(-1, 8))
    if flat is None or folded is None or not np.array_equal(flat.ravel()[:-1], folded.ravel()):
        return None
    values = flat.ravel()
    with np.errstate(all="ignore"):
        for candidate, expected in _candidates(function, grid, values):
            if _same(values, expected):
                return candidate
    return None


def _evaluate(function: Callable[[Any], Any], x: Array) -> Array | None:
    try:
        y = np.asarray(function(tf.constant(x)))
    except Exception:  # a layer with weights takes arrays of its own width alone
        return None
    return y if y.shape == x.shape and y.dtype == np.float32 else None


def _same(values: Array, expected: Array) -> bool:
    scale = np.maximum(np.float32(1.0), np.abs(expected))
    return bool(np.all(np.abs(values - expected) <= _SAME * scale))


def _candidates(
    function: Callable[[Any], Any], grid: Array, values: Array
) -> Iterator[tuple[Activation, Array]]:
    x = tf.constant(grid)
    yield Activation("Tanh"), tf.tanh(x).numpy()
    yield Activation("Sigmoid"), tf.sigmoid(x).numpy()
    yield Activation("Relu"), tf.nn.relu(x).numpy()
    yield Activation("Affine", 1.0, 0.0), grid
    for slope in (1 / 6, 0.2):
        expected = np.clip(np.float32(slope) * grid + np.float32(0.5), 0, 1).astype(np.float32)
        yield Activation("HardSigmoid", float(np.float32(slope)), 0.5), expected
    yield Activation("Softsign"), tf.nn.softsign(x).numpy()
    yield Activation("Softplus"), tf.nn.softplus(x).numpy()
    low = float(values[np.argmin(grid)])
    alpha = np.float32(-low)
    negative = alpha * np.expm1(np.minimum(grid, 0))
    yield Activation("Elu", float(alpha)), np.where(grid > 0, grid, negative)
    leak = np.float32(low / float(grid.min()))
    yield Activation("LeakyRelu", float(leak)), np.where(grid >= 0, grid, leak * grid)
    yield from _fitted(grid, values)
    if (threshold := _threshold(function, grid, values)) is not None:
        yield Activation("ThresholdedRelu", threshold), np.where(grid > threshold, grid, 0)


def _fitted(grid: Array, values: Array) -> Iterator[tuple[Activation, Array]]:
    """Affine, HardSigmoid and ScaledTanh with the parameters that the values suggest."""
    order = np.argsort(grid)
    x, y = grid[order].astype(np.float64), values[order].astype(np.float64)
    beta = np.float32(values[np.flatnonzero(grid == 0)[0]])
    alpha = np.float32((y[-1] - y[0]) / (x[-1] - x[0]))
    yield Activation("Affine", float(alpha), float(beta)), alpha * grid + beta
    rising = np.flatnonzero((y > 0) & (y < 1))
    if rising.size > 1:
        first, last = rising[0], rising[-1]
        alpha = np.float32((y[last] - y[first]) / (x[last] - x[first]))
        expected = np.clip(alpha * grid + beta, 0, 1)
        yield Activation("HardSigmoid", float(alpha), float(beta)), expected
    half = np.argmin(np.abs(y / y[-1] - 0.5)) if y[-1] else 0
    if x[half]:
        alpha = np.float32(y[-1])
        beta = np.float32(np.arctanh(y[half] / y[-1]) / x[half])
        expected = alpha * tf.tanh(tf.constant(beta * grid)).numpy()
        yield Activation("ScaledTanh", float(alpha), float(beta)), expected


def _threshold(function: Callable[[Any], Any], grid: Array, values: Array) -> float | None:
    """The largest x of which a ThresholdedRelu makes 0, found by narrowing down."""
    below, above = grid[(values == 0) & (grid != 0)], grid[(values == grid) & (grid != 0)]
    if not below.size or not above.size or below.max() >= above.min():
        return None
    low, high = below.max(), above.min()
    while np.nextafter(low, high) < high:
        points = np.linspace(low, high, 256, dtype=np.float32)
        found = _evaluate(function, points.reshape(1, -1))
        if found is None or np.any(np.diff(found[0] != 0, prepend=False) & (found[0] == 0)):
            return None
        low, high = points[found[0] == 0].max(), points[found[0] != 0].min()
    return float(low)
