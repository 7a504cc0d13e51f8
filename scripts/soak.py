"""Hammer a StreamPool from several threads and check every answer.

Threads open, step, feed, reset, close, snapshot and restore streams of one pool at random. The
reference is as simple as can be: the whole run of all steps a stream has seen since its start.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import rnnport

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 40  # steps until a stream is reset, so that the reference stays quick
BOUND = 1e-6
PARTS = 4
LEAK = 8 << 20  # bytes, from the first part's end: until then each thread's allocator fills up

Array = NDArray[np.float32]


@dataclass
class Stream:
    """What one thread knows of one of its streams."""

    sid: int
    seen: list[Array] = field(default_factory=list)


class Hammer:
    """One thread's share of the streams, and what it did to them."""

    def __init__(self, runner: Any, pool: Any, streams: int, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self.mismatches: list[str] = []
        self.worst = 0.0
        self._runner, self._pool = runner, pool
        self._random, self._rng = random.Random(seed), np.random.default_rng(seed)
        self._features = runner.manifest.forms["model"].inputs[0].shape[-1]
        self._streams = [Stream(pool.open()) for _ in range(streams)]

    def go(self, deadline: float) -> None:
        """Act at random until the deadline."""
        acts = [self._step] * 6 + [self._feed] * 2 + [self._reset, self._reopen, self._move]
        while time.monotonic() < deadline:
            act = self._random.choice(acts)
            act()
            self.done[act.__name__.strip("_")] += 1

    def close(self) -> None:
        """Close every stream."""
        for stream in self._streams:
            self._pool.close(stream.sid)

    def _some(self) -> list[Stream]:
        chosen = self._random.sample(self._streams, self._random.randint(1, len(self._streams)))
        for stream in chosen:
            if len(stream.seen) >= LONGEST:
                self._pool.reset([stream.sid])
                stream.seen.clear()
        return chosen

    def _draw(self, steps: int) -> Array:
        return self._rng.standard_normal((steps, self._features)).astype(np.float32)

    def _step(self) -> None:
        chosen = self._some()
        xs = self._draw(len(chosen))
        ys = self._pool.step([stream.sid for stream in chosen], xs)
        for stream, x, y in zip(chosen, xs, ys, strict=True):
            stream.seen.append(x[None])
            self._check(stream, y)

    def _feed(self) -> None:
        chosen = self._some()
        chunks = [self._draw(self._random.randint(1, 6)) for _ in chosen]
        ys = self._pool.feed([stream.sid for stream in chosen], chunks)
        for stream, chunk, y in zip(chosen, chunks, ys, strict=True):
            stream.seen.append(chunk)
            self._check(stream, y)

    def _reset(self) -> None:
        chosen = self._some()
        self._pool.reset([stream.sid for stream in chosen])
        for stream in chosen:
            stream.seen.clear()

    def _reopen(self) -> None:
        stream = self._random.choice(self._streams)
        self._pool.close(stream.sid)
        stream.sid = self._pool.open()
        stream.seen.clear()

    def _move(self) -> None:
        """Out of the pool and back in, as to another machine."""
        stream = self._random.choice(self._streams)
        blob = self._pool.snapshot(stream.sid)
        self._pool.close(stream.sid)
        stream.sid = self._pool.restore(blob)

    def _check(self, stream: Stream, y: Array) -> None:
        if self._random.random() > 0.2:  # the reference costs more than the pool
            return
        expected = self._runner.run(np.concatenate(stream.seen)[None])[0]
        error = float(np.abs(y - expected).max())
        self.worst = max(self.worst, error)
        self.done["checked"] += 1
        if not error <= BOUND:
            self.mismatches.append(f"stream {stream.sid}: {error:.2g} after {len(stream.seen)}")


def resident() -> int:
    """Bytes of memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    runner = rnnport.load(ROOT / "artifacts" / "digits-lstm", provider="cpu")
    pool = runner.pool(capacity=options.streams)
    share = options.streams // options.threads
    hammers = [Hammer(runner, pool, share, options.seed + n) for n in range(options.threads)]
    console = Console()
    memory = []
    for part in range(PARTS):
        hammer_all(hammers, options.seconds / PARTS, console, f"part {part + 1} of {PARTS}")
        gc.collect()
        memory.append(resident())
    for hammer in hammers:
        hammer.close()
    return report(hammers, len(pool), memory, console)


def hammer_all(hammers: list[Hammer], seconds: float, console: Console, label: str) -> None:
    deadline = time.monotonic() + seconds
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with (
        ThreadPoolExecutor(len(hammers)) as threads,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        running = [threads.submit(hammer.go, deadline) for hammer in hammers]
        task = progress.add_task(label, total=seconds)
        while not all(future.done() for future in running):
            progress.update(task, completed=seconds - (deadline - time.monotonic()))
            time.sleep(0.2)
    for future in running:
        future.result()  # raises what the thread raised


def report(hammers: list[Hammer], left: int, memory: list[int], console: Console) -> int:
    done: Counter[str] = sum((hammer.done for hammer in hammers), Counter())
    mismatches = [text for hammer in hammers for text in hammer.mismatches]
    acts = ", ".join(f"{count:,} {name}" for name, count in done.most_common())
    console.print(f"{len(hammers)} threads: {acts}")
    worst = max(hammer.worst for hammer in hammers)
    console.print(
        f"{len(mismatches)} mismatches, worst error {worst:.2g} (bound {BOUND:.0e}); "
        f"memory {' '.join(f'{m / 2**20:.1f}' for m in memory)} MiB; {left} streams left open"
    )
    for text in mismatches[:10]:
        console.print(f"[red]{text}[/red]")
    enough = done["checked"] > 0
    leaks = memory[-1] - memory[0] > LEAK
    return 0 if enough and not mismatches and left == 0 and not leaks else 1


if __name__ == "__main__":
    sys.exit(main())
