"""Scales of a chart: decades upwards, steps to the right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Decades", "binned", "step_ticks"]

_MOST_DECADES = 6
_ROUND = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Decades:
    """A logarithmic axis over whole decades.

    Attributes:
        low: exponent of its lower end.
        high: of its upper end, above low.
    """

    low: int
    high: int

    @classmethod
    def around(cls, values: Iterable[float]) -> Decades | None:
        """The decades that hold the positive values, so many at most; None where there is none."""
        found = [value for value in values if 0 < value < math.inf]
        if not found:
            return None
        low, high = math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))
        high = max(high, low + 1)
        return cls(max(low, high - _MOST_DECADES), high)

    @property
    def ticks(self) -> list[int]:
        """Exponents to label."""
        return list(range(self.low, self.high + 1))

    def place(self, value: float) -> float:
        """How far up a value is, 0 to 1; zero, and what is below, is at the lower end."""
        if value <= 0:
            return 0.0
        return min(1.0, max(0.0, (math.log10(value) - self.low) / (self.high - self.low)))


def binned(values: Sequence[float], most: int) -> tuple[list[float], int]:
    """At most so many values, each the largest of as many steps as the second figure says."""
    size = max(1, -(-len(values) // most))
    return [max(values[i : i + size]) for i in range(0, len(values), size)], size


def step_ticks(steps: int, most: int = 5) -> list[int]:
    """Round numbers of steps to label, the first and never more than most + 1."""
    if steps <= most:
        return list(range(1, steps + 1))
    magnitude = 10 ** math.floor(math.log10(steps / most))
    strides = [int(m * magnitude) for m in _ROUND if m * magnitude >= 1]
    stride = next(s for s in strides if s * most >= steps)
    return [1, *range(stride, steps + 1, stride)]
