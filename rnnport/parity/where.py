"""Where a difference starts: the first step, the worst element, the first layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.magnitude import magnitude

__all__ = ["describe_start", "first_bad_layer"]

Arrays = Mapping[str, NDArray[Any]]


def describe_start(
    expected: NDArray[Any], received: NDArray[Any], bound: float, *, timed: bool
) -> str:
    """In words, e.g. "step 3 of 20, worst at [1, 7, 2]: 0.31 for 0.12".

    Args:
        expected: any shape.
        received: the same shape.
        bound: a larger difference is a bad one.
        timed: whether axis 1 is time.
    """
    off = _distance(expected, received)
    bad = np.asarray(off > bound)
    if not bad.any():
        return ""
    worst = tuple(int(i) for i in np.unravel_index(int(off.argmax()), off.shape))
    told = f"worst at {list(worst)}: {received[worst]:.6g} for {expected[worst]:.6g}"
    if bad.ndim and not (rows := _along(bad, 0)).all():
        told = f"row {int(rows.argmax())} of {rows.size}, {told}"
    if timed and bad.ndim > 1:
        steps = _along(bad, 1)
        told = f"step {int(steps.argmax()) + 1} of {steps.size}, {told}"
    return told


def _along(bad: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """(N,): whether anything is bad at each place of an axis."""
    return np.asarray(bad.any(axis=tuple(a for a in range(bad.ndim) if a != axis)))


def first_bad_layer(
    layers: Sequence[str], expected: Arrays, received: Arrays, tolerance: float
) -> str:
    """The first layer, in the order of the model, whose values differ, or "".

    Args:
        layers: names, in order.
        expected: layer name to values; those not in it are passed over.
        received: likewise.
        tolerance: from TOLERANCES.
    """
    for name in layers:
        if name not in expected or name not in received:
            continue
        e, r = expected[name], received[name]
        if e.shape != r.shape:
            return name
        scale = magnitude(e)
        if e.size and float(_distance(e, r).max()) > tolerance * scale:
            return name
    return ""


def _distance(expected: NDArray[Any], received: NDArray[Any]) -> NDArray[np.float64]:
    """|received - expected|, infinite where one of them is no number and the other is."""
    e, r = expected.astype(np.float64), received.astype(np.float64)
    with np.errstate(invalid="ignore"):
        off = np.abs(r - e)
    same = (e == r) | (np.isnan(e) & np.isnan(r))
    return np.asarray(np.where(same, 0.0, np.where(np.isnan(off), np.inf, off)))
