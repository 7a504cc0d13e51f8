"""The measuring core: contenders take turns in short blocks until the fastest two of each agree.

What counts is the fastest third of a contender's blocks: once its threads have slept, every fourth
block on two threads begins with both on one core, and stays so for up to 0.3 s.

Before each block the threads of the last contender, which may spin on for a while, are waited for,
and then for the host's other guests to leave the cores alone; the order turns with each round. A
block during which other processes took the cores, or guests slowed them down, counts only where
none was quiet, and the row says so. Whoever is far from rnnport needs two blocks.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from timing import QUIET, block, fastest_third, others_seconds, others_share

from rnnport.runtime.neighbours import NEIGHBOURS, Neighbours, neighbours

__all__ = [
    "Block",
    "Limits",
    "Measured",
    "Sample",
    "agreed",
    "measure",
    "rotated",
    "sample_of",
]

Run = Callable[[], Any]


@dataclass(frozen=True)
class Limits:
    """When to stop.

    Attributes:
        seconds: for all of a row's rounds, once there were `least` of them.
        pause: seconds at most until this process's threads sleep, before each block.
        block: seconds a block goes on, one call at least.
        rounds: the most.
        least: quiet blocks at least.
        change: by how much the medians of the two fastest blocks may differ, relatively.
        slow: seconds of a call above which one block of one call must do.
        patience: seconds at most until other guests leave the cores alone, before each block.
        far: times as fast or as slow as rnnport, from which on two quiet blocks do.
    """

    seconds: float = 4.0
    pause: float = 0.3
    block: float = 0.02
    rounds: int = 12
    least: int = 3
    change: float = 0.02
    slow: float = 0.6
    patience: float = 0.4
    far: float = 1.6


@dataclass(frozen=True)
class Sample:
    """Seconds of one contender's calls: median and quartiles of its fastest blocks, all calls."""

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
        others_share: what other processes took of the cores in the worst block that counts.
        slowdown: by how much other guests slowed a core down before or after the worst of them.
    """

    samples: dict[str, Sample]
    rounds: int
    others_share: float
    slowdown: float


@dataclass(frozen=True)
class Block:
    """Seconds of one contender's calls in a row, and what disturbed them.

    Attributes:
        share: of the cores, what other processes took meanwhile.
        slowdown: the slowest core's loop over its usual best, before or after.
        taken: seconds of each call.
    """

    share: float
    slowdown: float
    taken: list[float]

    @property
    def quiet(self) -> bool:
        """Whether it counts."""
        return self.share <= QUIET and self.slowdown <= NEIGHBOURS


@dataclass
class _Course:
    """The blocks of one contender so far, and how many are wanted at most."""

    most: int
    blocks: list[Block] = field(default_factory=list)

    @property
    def median(self) -> float:
        return sample_of(self.counted()).median

    def counted(self) -> list[Block]:
        """The quiet blocks, or all where there are none."""
        return self.quiet() or self.blocks

    def quiet(self) -> list[Block]:
        return [block for block in self.blocks if block.quiet]

    def over(self, limits: Limits) -> bool:
        enough = min(limits.least, self.most)
        if len(self.blocks) >= limits.rounds:
            return True
        if len(self.quiet()) < enough:
            return False
        return len(self.quiet()) >= self.most or agreed(self.quiet(), limits.change)


def measure(
    contenders: Mapping[str, Run],
    few: frozenset[str],
    limits: Limits,
    guests: Neighbours | None = None,
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
        guests: tells when they slow the cores down; this process's own where None.
        ours: takes part in every round, that ratios compare calls of the same minute.
    """
    guests = guests or neighbours()
    courses = {name: _Course(_FEW if name in few else limits.rounds) for name in contenders}
    started, number = time.perf_counter(), 0
    while number < limits.rounds:
        going = [name for name, course in courses.items() if not course.over(limits)]
        late = number >= limits.least and time.perf_counter() - started > limits.seconds
        if number and (not going or late):
            break
        names = [name for name in contenders if name in going or name == ours]
        for name in rotated(names, number):
            block = _block(contenders[name], limits, guests)
            courses[name].blocks.append(block)
            if min(block.taken[0], firsts[name]) > limits.slow:
                courses[name].most = 1
        number += 1
        for name, course in courses.items():
            if name != ours and _far(course.median / courses[ours].median, limits.far):
                course.most = min(course.most, _FEW)
    counted = {name: course.counted() for name, course in courses.items()}
    return Measured(
        {name: sample_of(blocks) for name, blocks in counted.items()},
        number,
        max(block.share for blocks in counted.values() for block in blocks),
        max(block.slowdown for blocks in counted.values() for block in blocks),
    )


_FEW = 2


def _far(ratio: float, limit: float) -> bool:
    return not 1 / limit <= ratio <= limit


def _block(run: Run, limits: Limits, guests: Neighbours) -> Block:
    clocks = others_seconds(), time.perf_counter()

    def work() -> tuple[list[float], float]:
        return _calls(run, limits), others_share(clocks)

    (taken, share), slowdown = guests.watch(work, limits.patience, limits.pause)
    return Block(share, slowdown, taken)


def _calls(run: Run, limits: Limits) -> list[float]:
    return block(run, seconds=limits.block, least=1, warm=limits.block)


def rotated(names: list[str], number: int) -> list[str]:
    """The names, beginning further on in each round."""
    start = number % len(names)
    return names[start:] + names[:start]


def agreed(blocks: list[Block], change: float) -> bool:
    """Whether the fastest block is no exception: the second comes close."""
    medians = sorted(statistics.median(block.taken) for block in blocks)
    return len(medians) > 1 and medians[1] <= (1 + change) * medians[0]


def sample_of(blocks: list[Block]) -> Sample:
    """Median and quartiles over the calls of the fastest third; the number of all calls."""
    fastest = fastest_third([block.taken for block in blocks])
    times = sorted(seconds for taken in fastest for seconds in taken)
    calls = sum(len(block.taken) for block in blocks)
    if len(times) == 1:
        return Sample(times[0], times[0], times[0], calls)
    low, median, high = statistics.quantiles(times, n=4, method="inclusive")
    return Sample(median, low, high, calls)
