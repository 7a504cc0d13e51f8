"""Whether another guest of a shared host slows the cores down, which the kernel does not tell.

Two guests on the two threads of one physical core share its caches and its decoder: a Python loop
then takes up to 1.9 times as long, for a tenth of a second or for some. A loop of fixed length is
timed on every core; nothing of what is being compared takes part in that judgement.

The loops run in threads of their own, one bound to each core, and the caller sleeps meanwhile: were
the caller moved about instead, it could come to lie on the core of a runtime's thread, and stay
there: two threads then take turns on one core, and everything twice as long.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

from rnnport.runtime.idle import until_idle

__all__ = ["NEIGHBOURS", "Neighbours", "neighbours"]

NEIGHBOURS = 1.15
"""Times a core's own usual best, above which what was timed does not count."""

_LOOP = 1500  # passes, about 35 µs
_TRIES = 3  # of which the best counts: an interrupt is no neighbour
_CALIBRATION = 100
_MEMORY = 4000
_GLANCE, _BLINK = 0.01, 0.0005  # s

T = TypeVar("T")
Looks = Callable[[], Iterable[tuple[int, float]]]


class Watchers:
    """Threads that time the loop, each on its core; begun when first needed."""

    def __init__(self) -> None:
        self._asked: dict[int, queue.SimpleQueue[None]] = {}
        self._told: queue.SimpleQueue[float] = queue.SimpleQueue()

    def look(self) -> list[tuple[int, float]]:
        """Seconds of the loop on each core that this thread may use."""
        if not hasattr(os, "sched_getaffinity"):
            return [(0, _best_of_some())]
        return [(core, self._seconds(core)) for core in sorted(os.sched_getaffinity(0))]

    def _seconds(self, core: int) -> float:
        if core not in self._asked:
            self._asked[core] = queue.SimpleQueue()
            name, given = f"rnnport-watch-{core}", (core, self._asked[core], self._told)
            threading.Thread(target=_watch, args=given, name=name, daemon=True).start()
        self._asked[core].put(None)
        # Whoever is woken by another thread may be moved to its core; an alarm moves nobody.
        while self._told.empty():
            time.sleep(_BLINK)
        return self._told.get()


def _watch(core: int, asked: queue.SimpleQueue[None], told: queue.SimpleQueue[float]) -> None:
    with contextlib.suppress(OSError):  # where it may not, it looks where it is
        os.sched_setaffinity(0, {core})
    while True:
        asked.get()
        told.put(_best_of_some())


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
        looks: seconds of the loop, by core; threads that do so where None.
        sleep: waits for seconds.
    """

    def __init__(
        self, looks: Looks | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._looks, self._sleep = looks or Watchers().look, sleep
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

    def watch(self, work: Callable[[], T], patience: float, pause: float = 0.3) -> tuple[T, float]:
        """Do some work once this process's threads sleep and the cores are left alone.

        Args:
            work: what is timed.
            patience: seconds at most until the cores are left alone.
            pause: seconds at most until threads sleep, before the work and after it.

        Returns:
            What it gives, and the larger slowdown before and after it.
        """
        until_idle(pause)
        before = self.wait(patience)
        given = work()
        until_idle(pause)
        return given, max(before, self.slowdown())

    def _look(self) -> list[tuple[int, float]]:
        taken = list(self._looks())
        for core, seconds in taken:
            self._seen[core].append(seconds)
        return taken

    def _best(self, core: int) -> float:
        return float(np.quantile(self._seen[core], 0.05))


@functools.cache
def neighbours() -> Neighbours:
    """This process's own. Not for several threads; the first takes some 0.2 s."""
    return Neighbours()
