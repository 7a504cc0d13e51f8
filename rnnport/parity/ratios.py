"""Errors against float64, as ratios to TensorFlow's own: the law of accuracy."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Literal

from rnnport.parity.figures import times
from rnnport.parity.report import ParityReport
from rnnport.parity.tolerance import MEDIAN_RATIO, WORST_RATIO

__all__ = ["Ratios", "ratios"]


@dataclass(frozen=True)
class Ratios:
    """rnnport's error over TensorFlow's, over all runs and outputs.

    Attributes:
        median: at most MEDIAN_RATIO where it is as accurate as TensorFlow.
        worst: at most WORST_RATIO where it is.
        allowed: whether every check of the kind "accuracy" passed. Where both sides err by almost
            nothing, their ratio is as large as it likes, and the checks do not look at it.
    """

    median: float
    worst: float
    allowed: bool

    @property
    def verdict(self) -> Literal["as accurate", "allowed", "less accurate"]:
        """As accurate as TensorFlow itself, or not, or not to a digit that anybody reads."""
        if not self.allowed:
            return "less accurate"
        even = self.median <= MEDIAN_RATIO and self.worst <= WORST_RATIO
        return "as accurate" if even else "allowed"

    @property
    def sentence(self) -> str:
        """The figures and what they mean, in words."""
        found = f"median {times(self.median)}, worst {times(self.worst)} TensorFlow's own error"
        if self.verdict == "as accurate":
            return f"As accurate as TensorFlow itself: {found}."
        if self.verdict == "less accurate":
            return f"Less accurate than TensorFlow: {found}."
        return f"Against float64: {found}; every run is within its bound."


def ratios(report: ParityReport) -> Ratios | None:
    """Median and worst; None where nothing was compared with float64."""
    values = [one.ratio for one in report.accuracy]
    if not values:
        return None
    allowed = all(check.passed for check in report.checks if check.kind == "accuracy")
    return Ratios(statistics.median(values), max(values), allowed)
