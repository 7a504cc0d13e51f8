"""The measuring core: contenders take turns in short blocks until their medians are steady.

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

from timing import QUIET, block, others_seconds, others_share

from rnnport.runtime.idle import until_idle
from rnnport.runtime.neighbours import NEIGHBOURS, Neighbours

__all__ = ["Block", "Limits", "Measured", "Sample", "measure", "rotated", "sample_of", "steady"]

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
    medians: list[float] = field(default_factory=list)

    def add(self, block: Block) -> None:
        self.blocks.append(block)
        self.medians.append(self.median)

    @property
    def median(self) -> float:
        return sample_of(self.counted()).median

    def quiet(self) -> list[Block]:
        return [block for block in self.blocks if block.quiet]

    def counted(self) -> list[Block]:
        """The quiet blocks, or all where there are none."""
        return self.quiet() or self.blocks

    def over(self, limits: Limits) -> bool:
        enough = min(limits.least, self.most)
        if len(self.blocks) >= limits.rounds:
            return True
        if len(self.quiet()) < enough:
            return False
        return len(self.quiet()) >= self.most or steady(self.medians, limits.change)


def measure(
    contenders: Mapping[str, Run],
    few: frozenset[str],
    limits: Limits,
    neighbours: Neighbours,
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
        neighbours: tells when other guests of the host slow the cores down.
        ours: takes part in every round, that ratios compare calls of the same minute.
    """
    courses = {name: _Course(_FEW if name in few else limits.rounds) for name in contenders}
    started, number = time.perf_counter(), 0
    while number < limits.rounds:
        going = [name for name, course in courses.items() if not course.over(limits)]
        late = number >= limits.least and time.perf_counter() - started > limits.seconds
        if number and (not going or late):
            break
        names = [name for name in contenders if name in going or name == ours]
        for name in rotated(names, number):
            block = _block(contenders[name], limits, neighbours)
            courses[name].add(block)
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


def _block(run: Run, limits: Limits, neighbours: Neighbours) -> Block:
    clocks = others_seconds(), time.perf_counter()
    until_idle(limits.pause)
    before = neighbours.wait(limits.patience)
    taken = _calls(run, limits)
    share = others_share(clocks)
    until_idle(limits.pause)
    return Block(share, max(before, neighbours.slowdown()), taken)


def _calls(run: Run, limits: Limits) -> list[float]:
    return block(run, pause=0.0, seconds=limits.block, least=1, warm=limits.block)


def rotated(names: list[str], number: int) -> list[str]:
    """The names, beginning further on in each round."""
    start = number % len(names)
    return names[start:] + names[:start]


def steady(medians: list[float], change: float) -> bool:
    """Whether the last two running medians agree with the one before."""
    last = medians[-3:]
    return len(last) == 3 and max(last) - min(last) <= change * last[-1]


def sample_of(blocks: list[Block]) -> Sample:
    """Median and quartiles over all calls."""
    times = sorted(seconds for block in blocks for seconds in block.taken)
    if len(times) == 1:
        return Sample(times[0], times[0], times[0], 1)
    low, median, high = statistics.quantiles(times, n=4, method="inclusive")
    return Sample(median, low, high, len(times))
