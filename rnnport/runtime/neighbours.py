"""Whether another guest of a shared host slows the cores down, which the kernel does not tell.

Two guests on the two threads of one physical core share its caches and its decoder: a Python loop
then takes up to 1.9 times as long, for a tenth of a second or for some. A loop of fixed length is
timed on every core; nothing of what is being compared takes part in that judgement.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np

__all__ = ["NEIGHBOURS", "Neighbours", "neighbours"]

NEIGHBOURS = 1.15
"""Times a core's own usual best, above which what was timed does not count."""

_LOOP = 1500  # passes, about 35 µs
_TRIES = 3  # of which the best counts: an interrupt is no neighbour
_CALIBRATION = 200
_MEMORY = 4000
_GLANCE = 0.01  # s

Looks = Callable[[], Iterable[tuple[int, float]]]


def look() -> Iterator[tuple[int, float]]:
    """Seconds of the loop on each core this thread may use, which it may use afterwards too."""
    if not hasattr(os, "sched_setaffinity"):
        yield 0, _best_of_some()
        return
    own = os.sched_getaffinity(0)
    try:
        for core in sorted(own):
            with contextlib.suppress(OSError):  # where it may not, it is timed where it is
                os.sched_setaffinity(0, {core})
            yield core, _best_of_some()
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, own)


def _best_of_some() -> float:
    return min(_loop() for _ in range(_TRIES))


def _loop() -> float:
    before = time.perf_counter()
    total = 0
    for number in range(_LOOP):
        total += number
    return time.perf_counter() - before


class Neighbours:
    """Knows the usual best of every core, the fifth percentile of all loops so far.

    Args:
        looks: seconds of the loop, by core.
        sleep: waits for seconds.
    """

    def __init__(self, looks: Looks = look, sleep: Callable[[float], None] = time.sleep) -> None:
        self._looks, self._sleep = looks, sleep
        self._seen: defaultdict[int, deque[float]] = defaultdict(lambda: deque(maxlen=_MEMORY))
        for _ in range(_CALIBRATION):
            self._look()

    def slowdown(self) -> float:
        """The slowest core's loop now, over that core's usual best."""
        return max(seconds / self._best(core) for core, seconds in self._look())

    def wait(self, most: float) -> float:
        """Sleep until no core is slowed down, `most` seconds at most; the last slowdown."""
        deadline = time.perf_counter() + most
        while (found := self.slowdown()) > NEIGHBOURS and time.perf_counter() < deadline:
            self._sleep(_GLANCE)
        return found

    def _look(self) -> list[tuple[int, float]]:
        taken = list(self._looks())
        for core, seconds in taken:
            self._seen[core].append(seconds)
        return taken

    def _best(self, core: int) -> float:
        return float(np.quantile(self._seen[core], 0.05))


@functools.cache
def neighbours() -> Neighbours:
    """This process's own; looking at every core to begin with takes some 50 ms."""
    return Neighbours()
