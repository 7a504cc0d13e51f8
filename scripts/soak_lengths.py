"""Run 10,000 different shapes through run, feed and run_many, and watch the memory.

What a runtime keeps for every shape it has seen adds up; what it keeps for the largest does not.
So the largest shape comes first, and from then on the memory must stay where it is.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

import rnnport
from rnnport.errors import NotStreamable
from rnnport.runtime.runner import Runner
from rnnport.samples import draw

ROOT = Path(__file__).resolve().parent.parent
ROWS = 32
PARTS = 10
LEAK = 8 << 20  # bytes, from the end of the first part

Act = Callable[[int, int], object]


def resident() -> int:
    """Bytes of memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def shapes(count: int, seed: int = 0) -> list[tuple[int, int]]:
    """So many different (rows, steps), the largest first, the others at random."""
    longest = -(-count // ROWS)
    every = [(b, t) for b in range(1, ROWS + 1) for t in range(1, longest + 1)]
    order = np.random.default_rng(seed).permutation(len(every) - 1)[: count - 1]
    return [every[-1], *(every[i] for i in order)]


def acts(runner: Runner) -> Iterator[tuple[str, Act]]:
    """What to do with a number of rows and of steps."""
    ports = runner.manifest.forms["model"].inputs
    longest = {"B": ROWS, "T": 10_000 // ROWS + 10, "T2": 10}
    whole = draw(ports, longest)

    def cut(rows: int, steps: int) -> list[np.ndarray]:
        return [
            a[:rows, :steps] if p.has_time else a[:rows]
            for p, a in zip(ports, whole.values(), strict=True)
        ]

    yield "run", lambda rows, steps: runner.run(*cut(rows, steps))

    def many(rows: int, steps: int) -> object:
        lengths = [1 + (steps * (row + 1)) // rows for row in range(rows)]
        parts = [cut(ROWS, length) for length in lengths]
        return runner.run_many([tuple(a[n] for a in part) for n, part in enumerate(parts)])

    yield "run_many", many
    try:
        runner.stepper()
    except NotStreamable:
        return
    steppers: dict[int, object] = {}

    def feed(rows: int, steps: int) -> object:
        stepper = steppers.setdefault(rows, runner.stepper(rows))
        return stepper.feed(*cut(rows, steps))  # type: ignore[attr-defined]

    yield "feed", feed


def watch(name: str, act: Act, count: int, console: Console) -> bool:
    """Whether the memory stayed flat."""
    wanted = shapes(count)
    memory = []
    for part in track(range(PARTS), name, console=console, transient=True):
        for rows, steps in wanted[part * count // PARTS : (part + 1) * count // PARTS]:
            act(rows, steps)
        gc.collect()
        memory.append(resident())
    flat = memory[-1] - memory[0] <= LEAK
    told = " ".join(f"{m / 2**20:.1f}" for m in memory)
    verdict = "flat" if flat else "[red]grows[/red]"
    console.print(f"{name}: {count:,} shapes, {verdict}; MiB {told}")
    return flat


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--artifact", default=str(ROOT / "artifacts" / "digits-lstm"))
    parser.add_argument("--shapes", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--way", choices=("run", "run_many", "feed"), help="only this one")
    options = parser.parse_args()
    runner = rnnport.load(options.artifact, provider="cpu", threads=options.threads)
    console = Console()
    wanted = [(name, act) for name, act in acts(runner) if options.way in (None, name)]
    found = [watch(name, act, options.shapes, console) for name, act in wanted]
    return 0 if found and all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
