"""Races: calls that take turns in short blocks, so that all see the same machine.

Before each block the threads of the last contender are waited for, and for other guests of the
host to leave the cores alone; a block they slowed down is run again.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rnnport.runtime.neighbours import NEIGHBOURS, Neighbours, neighbours

__all__ = ["Race", "race"]

Call = Callable[[], Any]
Race = Callable[[Mapping[str, Call], float], dict[str, float]]

ROUNDS = 5
_MOST_ROUNDS = 10
_PATIENCE = 0.3  # s


def race(
    calls: Mapping[str, Call], seconds: float, guests: Neighbours | None = None
) -> dict[str, float]:
    """Seconds of a call by name: the second fastest of five blocks' medians.

    Once they have slept, two threads may find themselves on one core for the whole of a block.

    Args:
        calls: one at least.
        seconds: for each of them, over all rounds; every block has one call at least.
        guests: tells when a block was slowed down; this process's own where None.
    """
    guests = guests or neighbours()
    names = list(calls)
    for call in calls.values():
        call()
    calm: dict[str, list[float]] = {name: [] for name in names}
    every: dict[str, list[float]] = {name: [] for name in names}
    for number in range(_MOST_ROUNDS):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            if len(calm[name]) == ROUNDS:
                continue
            block = partial(_block, calls[name], seconds / ROUNDS)
            taken, slowdown = guests.watch(block, _PATIENCE)
            every[name].append(taken)
            if slowdown <= NEIGHBOURS:
                calm[name].append(taken)
    return {name: _second(calm[name] or every[name]) for name in names}


def _second(medians: list[float]) -> float:
    """The second of five, the fourth of ten; of fewer than five the second, or the only one."""
    return sorted(medians)[: max(2, len(medians) * 2 // ROUNDS)][-1]


def _block(call: Call, seconds: float) -> float:
    call()
    taken: list[float] = []
    total = 0.0
    while not taken or total < seconds:
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
        total += taken[-1]
    return statistics.median(taken)
