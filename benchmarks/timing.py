"""Timing side by side: contenders take turns in short blocks, medians count.

Before each block the threads of the last contender, which may spin on for 50 ms and more, are
waited for. Rounds wait until other processes leave the cores alone, and are left out where those
came in between: threads that wait for one another suffer most from that. So are rounds in which
other guests of the host slowed a core down.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rnnport.runtime.neighbours import NEIGHBOURS, neighbours

__all__ = [
    "CORES",
    "QUIET",
    "block",
    "cpu_model",
    "fastest_third",
    "others_seconds",
    "others_share",
    "race",
    "timed",
]

Run = Callable[[], Any]

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
BLOCK = 0.04  # s
ROUNDS = 15
_GLANCE = 0.2  # s
_PATIENCE = 0.3  # s
_TRIES = 3
QUIET = 0.08  # the share of the cores that other processes may take in a round that counts


def race(contenders: dict[str, Run], seconds: float) -> tuple[dict[str, float], int, float]:
    """Median seconds of a call, the rounds behind them, and what others took in the worst.

    Over the fastest third of a contender's blocks: two threads that have slept may begin on one
    core, and stay there.

    In a round each contender has one block of calls. Where too few rounds are quiet, the
    quietest count.
    """
    rounds: list[tuple[bool, float, dict[str, list[float]]]] = []
    started = time.perf_counter()
    quiet = 0
    while quiet < ROUNDS and (time.perf_counter() - started < seconds or len(rounds) < 5):
        wait_for_quiet(started + seconds)
        clocks = others_seconds(), time.perf_counter()
        taken, slowdown = {}, 1.0
        for name, run in contenders.items():
            taken[name], slowed = _calm_block(run)
            slowdown = max(slowdown, slowed)
        share = others_share(clocks)
        disturbed = share > QUIET or slowdown > NEIGHBOURS
        rounds.append((disturbed, share, taken))
        quiet += not disturbed
    rounds.sort(key=lambda entry: entry[:2])
    counted = rounds[: max(quiet, 5)]
    blocks = {name: [taken[name] for *_, taken in counted] for name in contenders}
    medians = {
        name: statistics.median(t for taken in fastest_third(own) for t in taken)
        for name, own in blocks.items()
    }
    return medians, len(counted), max(share for _, share, _ in counted)


def fastest_third(blocks: list[list[float]]) -> list[list[float]]:
    """Of seconds of calls, block by block, those with the lowest medians; one block at least."""
    return sorted(blocks, key=statistics.median)[: max(1, len(blocks) // 3)]


def _calm_block(run: Run) -> tuple[list[float], float]:
    """Seconds of a block's calls, and by how much guests slowed a core down before or after.

    One that they slowed down is run again, a few times at most.
    """
    for _ in range(_TRIES):
        taken, slowdown = neighbours().watch(partial(block, run), _PATIENCE)
        if slowdown <= NEIGHBOURS:
            break
    return taken, slowdown


def wait_for_quiet(deadline: float) -> None:
    """Sleep until others left the cores alone for a moment, or the deadline has passed."""
    while time.perf_counter() < deadline:
        clocks = others_seconds(), time.perf_counter()
        time.sleep(_GLANCE)
        if others_share(clocks) <= QUIET:
            return


def others_share(clocks: tuple[float, float]) -> float:
    """What others took of the cores since `clocks`: others_seconds and the wall clock then."""
    others, wall = clocks
    return (others_seconds() - others) / (time.perf_counter() - wall) / CORES


def others_seconds() -> float:
    """Processor seconds that others have taken so far; 0 where the kernel does not say."""
    path = Path("/proc/stat")
    if not path.exists():
        return 0.0
    ticks = [int(field) for field in path.read_text().split("\n", 1)[0].split()[1:9]]
    busy = sum(ticks) - ticks[3] - ticks[4]  # neither idle nor waiting for a disk
    return busy / os.sysconf("SC_CLK_TCK") - time.process_time()


def block(
    run: Run,
    *,
    seconds: float = BLOCK,
    least: int = 3,
    warm: float = float("inf"),
) -> list[float]:
    """Seconds of each of the calls that fit into one block.

    Args:
        run: the call.
        seconds: the block goes on until its calls add up to them.
        least: calls there are at least.
        warm: a first call shorter than that only warms the caches and does not count.
    """
    times = [timed(run)]
    if times[0] < warm:
        times = []
    while len(times) < least or sum(times) < seconds:
        times.append(timed(run))
    return times


def timed(run: Run) -> float:
    """Seconds of one call."""
    before = time.perf_counter()
    run()
    return time.perf_counter() - before


def cpu_model() -> str:
    """The processor's name, as the kernel says it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
