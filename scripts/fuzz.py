"""Export random recurrent models and compare each with TensorFlow; counts every option drawn."""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests import sweep, sweep_draw

RARE = 10
# Hypothesis draws like models one after another. Anew after so many, options mix; every start gives
# the simplest model again, which counts once.
PART = 25


class Tally:
    """What was drawn and how it went."""

    def __init__(self) -> None:
        self.drawn = 0
        self.options: Counter[tuple[str, str]] = Counter()
        self.failures: list[tuple[sweep_draw.Stack, str]] = []
        self.worst = 0.0
        self.streamed = self.bit_equal = 0
        self.worst_streamed = 0.0

    def see(self, ratio: float) -> None:
        self.worst = max(self.worst, ratio)

    def stream(self, ratio: float) -> None:
        self.streamed += 1
        self.bit_equal += ratio == 0.0
        self.worst_streamed = max(self.worst_streamed, ratio)

    def add(self, other: Tally) -> None:
        self.drawn += other.drawn
        self.options += other.options
        self.failures += other.failures
        self.worst = max(self.worst, other.worst)
        self.streamed += other.streamed
        self.bit_equal += other.bit_equal
        self.worst_streamed = max(self.worst_streamed, other.worst_streamed)


def each(example: Callable[[sweep_draw.Stack], None], n: int, seed: int, causal: bool) -> None:
    """Let Hypothesis draw n models."""
    asked = settings(
        max_examples=n,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    hypothesis.seed(seed)(asked(given(sweep_draw.stacks(causal=causal))(example)))()


def run(n: int, seed: int, causal: bool = False) -> Tally:
    warnings.simplefilter("ignore")
    console = Console()
    tally = Tally()
    seen: set[sweep_draw.Stack] = set()
    with tempfile.TemporaryDirectory() as name, Progress(console=console) as progress:
        task = progress.add_task("random models", total=n)

        def example(stack: sweep_draw.Stack) -> None:
            if stack in seen or tally.drawn == n:
                return
            seen.add(stack)
            tally.drawn += 1
            tally.options.update(set(sweep_draw.options(stack)))
            try:
                sweep.check(stack, Path(name) / "out", tally.see, tally.stream)
            except Exception as error:  # a refusal counts as a failure like any other
                text = f"{type(error).__name__}: {error}"
                tally.failures.append((stack, text))
                console.print(f"[red]FAILED[/red] {stack}\n  {text}")
            progress.advance(task)
            if not console.is_terminal and tally.drawn % 50 == 0:
                console.print(f"{tally.drawn} of {n}, {len(tally.failures)} failed")

        for number in itertools.count():
            if tally.drawn == n:
                break
            each(example, PART, seed * 1000 + number, causal)
    return tally


def spread(n: int, seed: int, jobs: int, causal: bool) -> Tally:
    """Share the models among processes."""
    if jobs == 1:
        return run(n, seed, causal)
    shares = [n // jobs + (i < n % jobs) for i in range(jobs)]
    whole = Tally()
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for part in pool.map(run, shares, range(seed, seed + jobs), [causal] * jobs):
            whole.add(part)
    return whole


def report(tally: Tally, seconds: float, console: Console) -> None:
    grouped: dict[str, list[tuple[str, int]]] = {}
    for (option, value), count in sorted(tally.options.items()):
        grouped.setdefault(option, []).append((value or "none", count))
    table = Table(title="How many models held each option value", title_style="bold")
    table.add_column("option")
    table.add_column("value: models")
    for option, values in grouped.items():
        table.add_row(option, ", ".join(f"{value}: {count}" for value, count in values))
    console.print(table)
    console.print(
        f"{tally.drawn} models in {seconds:.0f} s, {len(tally.failures)} failed; "
        f"worst error {tally.worst:.3f} of its bound"
    )
    if tally.streamed:
        console.print(
            f"{tally.streamed:,} outputs of chunks and steps against the whole run: "
            f"{tally.bit_equal / tally.streamed:.1%} bit-equal, "
            f"worst {tally.worst_streamed:.3f} of the bound 1e-6"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=500, help="how many models (default 500)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same models")
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with its own seed")
    parser.add_argument("--causal", action="store_true", help="only models that must stream")
    given_ = parser.parse_args()
    console = Console()
    start = time.perf_counter()
    tally = spread(given_.n, given_.seed, given_.jobs, given_.causal)
    report(tally, time.perf_counter() - start, console)
    rare = [key for key, count in tally.options.items() if count < RARE]
    if given_.n >= 500 and rare:
        console.print(f"[red]drawn fewer than {RARE} times:[/red] {rare}")
        return 1
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
