"""Races: calls that take turns in short blocks, so that all see the same machine.

Before each block the threads of the last contender are waited for.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from rnnport.runtime.idle import until_idle

__all__ = ["Race", "race"]

Call = Callable[[], Any]
Race = Callable[[Mapping[str, Call], float], dict[str, float]]

ROUNDS = 5


def race(calls: Mapping[str, Call], seconds: float) -> dict[str, float]:
    """Seconds of a call by name: the median over rounds of each block's median.

    Args:
        calls: one at least.
        seconds: for each of them, over all rounds; every block has one call at least.
    """
    names = list(calls)
    for call in calls.values():
        call()
    medians: dict[str, list[float]] = {name: [] for name in names}
    for number in range(ROUNDS):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            until_idle()
            medians[name].append(_block(calls[name], seconds / ROUNDS))
    return {name: statistics.median(found) for name, found in medians.items()}


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
