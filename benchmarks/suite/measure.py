"""The measuring core: contenders take turns in short blocks until their medians are steady.

Before each block the threads of the last contender, which may spin on for a while, are waited for;
the order turns with each round. A round in which other processes took the cores counts only where
too few were quiet, and the row says so.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from timing import QUIET, block, others_seconds, others_share

__all__ = ["Limits", "Measured", "Sample", "measure", "rotated", "sample_of", "steady"]

Run = Callable[[], Any]


@dataclass(frozen=True)
class Limits:
    """When to stop.

    Attributes:
        seconds: for all of a row's rounds, once there were `least` of them.
        pause: seconds at most until this process's threads sleep, before each block.
        block: seconds a block goes on, one call at least.
        rounds: the most.
        least: quiet rounds before a median may be called steady.
        change: the relative change of a running median that still counts as steady.
        slow: seconds of a call above which one block of one call must do.
    """

    seconds: float = 4.0
    pause: float = 0.3
    block: float = 0.02
    rounds: int = 12
    least: int = 3
    change: float = 0.02
    slow: float = 0.6


@dataclass(frozen=True)
class Sample:
    """Seconds of one contender's calls: median and quartiles."""

    median: float
    low: float
    high: float
    calls: int


@dataclass(frozen=True)
class Measured:
    """A row.

    Attributes:
        samples: contender to its sample.
        rounds: how many there were.
        others_share: what other processes took of the cores in the worst round that counts.
    """

    samples: dict[str, Sample]
    rounds: int
    others_share: float


@dataclass
class _Course:
    """The rounds of one contender so far: the share others took, and seconds of the calls."""

    most: int
    rounds: list[tuple[float, list[float]]] = field(default_factory=list)
    medians: list[float] = field(default_factory=list)

    def add(self, share: float, taken: list[float]) -> None:
        self.rounds.append((share, taken))
        self.medians.append(sample_of(self.counted()).median)

    def quiet(self) -> list[tuple[float, list[float]]]:
        return [entry for entry in self.rounds if entry[0] <= QUIET]

    def counted(self) -> list[tuple[float, list[float]]]:
        """The quiet rounds, or all where there are none."""
        return self.quiet() or self.rounds

    def over(self, limits: Limits) -> bool:
        enough = min(limits.least, self.most)
        if len(self.rounds) >= limits.rounds:
            return True
        if len(self.quiet()) < enough:
            return False
        return len(self.quiet()) >= self.most or steady(self.medians, limits.change)


def measure(
    contenders: Mapping[str, Run],
    few: frozenset[str],
    limits: Limits,
    *,
    ours: str,
    firsts: Mapping[str, float],
) -> Measured:
    """Time the contenders, all of which have run once already.

    Args:
        contenders: name to a call.
        few: names for which two rounds must do.
        firsts: seconds of that one run. A single slow call may be another process's doing.
        limits: when to stop.
        ours: takes part in every round, that ratios compare calls of the same minute.
    """
    courses = {name: _Course(2 if name in few else limits.rounds) for name in contenders}
    started, number = time.perf_counter(), 0
    while number < limits.rounds:
        going = [name for name, course in courses.items() if not course.over(limits)]
        late = number >= limits.least and time.perf_counter() - started > limits.seconds
        if number and (not going or late):
            break
        names = [name for name in contenders if name in going or name == ours]
        for name in rotated(names, number):
            clocks = others_seconds(), time.perf_counter()
            taken = _block(contenders[name], limits)
            courses[name].add(others_share(clocks), taken)
            if min(taken[0], firsts[name]) > limits.slow:
                courses[name].most = 1
        number += 1
    samples = {name: sample_of(course.counted()) for name, course in courses.items()}
    share = max(share for course in courses.values() for share, _ in course.counted())
    return Measured(samples, number, share)


def _block(run: Run, limits: Limits) -> list[float]:
    return block(run, pause=limits.pause, seconds=limits.block, least=1, warm=limits.block)


def rotated(names: list[str], number: int) -> list[str]:
    """The names, beginning further on in each round."""
    start = number % len(names)
    return names[start:] + names[:start]


def steady(medians: list[float], change: float) -> bool:
    """Whether the last two running medians agree with the one before."""
    last = medians[-3:]
    return len(last) == 3 and max(last) - min(last) <= change * last[-1]


def sample_of(rounds: list[tuple[float, list[float]]]) -> Sample:
    """Median and quartiles over all calls."""
    times = sorted(seconds for _, taken in rounds for seconds in taken)
    if len(times) == 1:
        return Sample(times[0], times[0], times[0], 1)
    low, median, high = statistics.quantiles(times, n=4, method="inclusive")
    return Sample(median, low, high, len(times))
