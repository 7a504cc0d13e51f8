"""When one candidate counts as faster than another: by more than the noise, in two races."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnport.runtime.racing import Race

__all__ = ["NOISE", "Contest", "better", "mean"]

NOISE = 1.03
"""Times as fast: what two measurements of the same differ by."""

Call = Callable[[], Any]


@dataclass(frozen=True)
class Contest:
    """How to measure.

    Attributes:
        run: measures calls side by side.
        seconds: for each of them.
    """

    run: Race
    seconds: float

    def race(self, calls: Mapping[str, Call]) -> dict[str, float]:
        """Seconds of each call."""
        return self.run(calls, self.seconds)

    def winner(self, calls: Mapping[str, Call], present: str) -> tuple[str, dict[str, float]]:
        """The fastest call, if it beats the present one in a race of all and in one of these two.

        Args:
            calls: by name.
            present: the one that stays otherwise.

        Returns:
            Its name, and seconds of each call in the first race.
        """
        found = self.race(calls)
        fastest = min(found, key=found.__getitem__)
        if better([found[present] / found[fastest]]):
            again = self.race({name: calls[name] for name in (present, fastest)})
            if better([again[present] / again[fastest]]):
                return fastest, found
        return present, found


def better(ratios: Sequence[float]) -> bool:
    """Whether a candidate is faster on the geometric mean, and slower nowhere, but for the noise.

    Args:
        ratios: the present time over the candidate's, one for each size.
    """
    return mean(ratios) > NOISE and min(ratios) * NOISE >= 1


def mean(ratios: Sequence[float]) -> float:
    """The geometric mean; 1 of nothing."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else 1.0
