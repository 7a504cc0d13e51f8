"""Errors against float64, as ratios to TensorFlow's own: the law of accuracy."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from rnnport.parity.facts import Accuracy
from rnnport.parity.figures import times

__all__ = ["MEDIAN_BOUND", "WORST_BOUND", "Ratios", "ratios"]

MEDIAN_BOUND = 1.2
WORST_BOUND = 3.0


@dataclass(frozen=True)
class Ratios:
    """rnnport's error over TensorFlow's, over all runs and outputs.

    Attributes:
        median: at most MEDIAN_BOUND where the law holds.
        worst: at most WORST_BOUND where the law holds.
        count: how many ratios there are.
    """

    median: float
    worst: float
    count: int

    @property
    def as_accurate(self) -> bool:
        """Whether rnnport is as accurate as TensorFlow itself."""
        return self.median <= MEDIAN_BOUND and self.worst <= WORST_BOUND

    @property
    def sentence(self) -> str:
        """The figures and what they mean, in words."""
        found = f"median {times(self.median)}, worst {times(self.worst)} TensorFlow's own error"
        if self.as_accurate:
            return f"As accurate as TensorFlow itself: {found}."
        law = f"at most {MEDIAN_BOUND:g} × and {WORST_BOUND:g} × are allowed"
        return f"Less accurate than TensorFlow: {found}; {law}."


def ratios(accuracy: Iterable[Accuracy]) -> Ratios | None:
    """Median and worst; None where nothing was compared with float64."""
    values = [one.ratio for one in accuracy]
    if not values:
        return None
    return Ratios(statistics.median(values), max(values), len(values))
