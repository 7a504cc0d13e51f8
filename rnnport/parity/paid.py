"""What a smaller precision costs: errors against TensorFlow, and decisions that flip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnport.artifact.golden import GoldenCase
from rnnport.parity.figures import counted, figure
from rnnport.spec import Paid

__all__ = ["ORDINARY", "deviation", "paid", "paid_words", "quadratic_mean", "spread"]

Arrays = Mapping[str, NDArray[Any]]
Rule = Literal["argmax", "half", ""]

ORDINARY = ("shapes", "masks")
"""Kinds of golden cases whose inputs are what a model is made for."""

# How far from 1 probabilities of one decision may add up to.
_NEAR_ONE = 1e-3


@dataclass(frozen=True, eq=False)
class _Seen:
    """One output of one case."""

    expected: NDArray[Any]
    received: NDArray[Any]


def spread(golden: Sequence[GoldenCase], output: str) -> float:
    """Standard deviation of an output over ordinary cases, of its finite values."""
    return deviation([case.outputs[output] for case in golden if case.kind in ORDINARY])


def deviation(arrays: Sequence[NDArray[Any]]) -> float:
    """Standard deviation of all finite values together; 0 where there are none."""
    values = [a[np.isfinite(a)].astype(np.float64) for a in arrays]
    return float(np.concatenate(values).std()) if any(v.size for v in values) else 0.0


def quadratic_mean(expected: NDArray[Any], received: NDArray[Any]) -> float:
    """Root of the mean square of the difference, where both are finite."""
    off = received.astype(np.float64) - expected.astype(np.float64)
    off = off[np.isfinite(off)]
    return float(np.sqrt((off**2).mean())) if off.size else 0.0


def paid(golden: Sequence[GoldenCase], given: Sequence[Arrays], output: str) -> Paid | None:
    """The cost at one output over ordinary cases; None where there is nothing to compare.

    Args:
        golden: cases with TensorFlow's outputs.
        given: what each gives in the smaller precision; empty where it gave nothing.
        output: a float output.
    """
    seen = [
        _Seen(case.outputs[output], received[output])
        for case, received in zip(golden, given, strict=True)
        if case.kind in ORDINARY and _comparable(case, received, output)
    ]
    scale = spread(golden, output)
    if not seen or not scale:
        return None
    rule = _rule([one.expected for one in seen])
    counts = [_decisions(one, rule) for one in seen]
    expected, received = (
        np.concatenate(side)
        for side in zip(*((o.expected.ravel(), o.received.ravel()) for o in seen), strict=True)
    )
    return Paid(
        output=output,
        worst=max(map(_worst, seen)),
        mean=quadratic_mean(expected, received) / scale,
        decisions=sum(decisions for decisions, _ in counts),
        flipped=sum(flipped for _, flipped in counts),
        rule=rule,
    )


def paid_words(one: Paid) -> str:
    """The figures in a line, for people."""
    flips = f"; {one.flipped} of {counted(one.decisions, 'decision')} flipped" * bool(one.decisions)
    return f"{one.mean:.2%} of the spread on average, at worst {figure(one.worst)}{flips}"


def _comparable(case: GoldenCase, received: Arrays, output: str) -> bool:
    expected = case.outputs[output]
    return expected.dtype.kind == "f" and received.get(output, _NOTHING).shape == expected.shape


_NOTHING: NDArray[Any] = np.zeros((0, 0, 0, 0, 0, 0, 0, 0))


def _worst(one: _Seen) -> float:
    off = np.abs(one.received.astype(np.float64) - one.expected)
    largest = np.abs(one.expected[np.isfinite(one.expected)]).max(initial=0.0)
    return float(off[np.isfinite(off)].max(initial=0.0)) / max(1.0, float(largest))


def _rule(expected: Sequence[NDArray[Any]]) -> Rule:
    """Whether an output looks like scores of classes, or like probabilities on their own."""
    several = all(array.ndim > 1 and array.shape[-1] > 1 for array in expected)
    within = all(((array >= 0) & (array <= 1)).all() for array in expected)
    if several and within:
        sums = np.concatenate([_told(array).sum(axis=-1) for array in expected])
        return "argmax" if (np.abs(sums - 1) < _NEAR_ONE).all() else "half"
    return "argmax" if several else "half" if within else ""


def _told(array: NDArray[Any]) -> NDArray[Any]:
    """(N, V): the rows that say something: those of masked steps may be all zeros."""
    rows = array.reshape(-1, array.shape[-1])
    return rows[rows.any(axis=-1)]


def _decisions(one: _Seen, rule: Rule) -> tuple[int, int]:
    """How many there are, and how many flip."""
    if not rule:
        return 0, 0
    if rule == "half":
        return one.expected.size, int(((one.expected > 0.5) != (one.received > 0.5)).sum())
    rows = one.expected.any(axis=-1)
    flipped = one.expected.argmax(axis=-1) != one.received.argmax(axis=-1)
    return int(rows.sum()), int((flipped & rows).sum())
