"""Export random recurrent models and compare each with TensorFlow; counts every option drawn.

The first failure of each kind is made as small as it goes and written as a script of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.sweep.case_file import CORPUS, name_of, read_case, write_case
from tests.sweep.fault import Fault
from tests.sweep.search import FAMILIES, Found, Tally, drawn, search

ROOT = Path(__file__).resolve().parent.parent
RARE = 5


def run(n: int, seed: int, family: str, shrink: float, out: Path) -> Tally:
    """One process's share."""
    warnings.simplefilter("ignore")
    console = Console()
    with Progress(console=console) as progress:
        task = progress.add_task("random models", total=n)
        shown = 0

        def told(tally: Tally) -> None:
            nonlocal shown
            for found in tally.failures[shown:]:
                show(found, console)
            shown = len(tally.failures)
            progress.advance(task)
            if not console.is_terminal and tally.drawn % 50 == 0:
                console.print(f"{tally.drawn} of {n}, {len(tally.failures)} failed")

        return search(drawn(family, n, seed), shrink=shrink, out=out, told=told)


def show(found: Found, console: Console) -> None:
    console.print(f"[red]FAILED[/red] {found.kind}", highlight=False)
    console.print(f"  {found.case!r}", markup=False, highlight=False)
    if found.smallest is not None:
        console.print(f"  smallest: {found.smallest!r}", markup=False, highlight=False)
        console.print(f"  {found.text[:600]}", markup=False, highlight=False)
        console.print(f"  {found.script}", markup=False, highlight=False)


def spread(n: int, seed: int, jobs: int, family: str, shrink: float, out: Path) -> Tally:
    """Share the models among processes."""
    if jobs == 1:
        return run(n, seed, family, shrink, out)
    shares = [n // jobs + (i < n % jobs) for i in range(jobs)]
    fixed = ([value] * jobs for value in (family, shrink, out))
    whole = Tally()
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for part in pool.map(run, shares, range(seed, seed + jobs), *fixed):
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


def keep(tally: Tally, console: Console) -> None:
    """The smallest failing cases join the corpus."""
    for found in tally.failures:
        if found.smallest is None:
            continue
        fault = Fault(found.kind, found.text)
        path = CORPUS / f"{name_of(found.smallest, fault)}.json"
        write_case(path, found.smallest, f"{found.kind}: say here what was wrong")
        console.print(f"kept as {path.relative_to(ROOT)}: now say in it what was wrong")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=500, help="how many models (default 500)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same models")
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with its own seed")
    parser.add_argument("--family", choices=FAMILIES, default="all", help="default: all")
    parser.add_argument("--causal", action="store_true", help="only models that must stream")
    parser.add_argument(
        "--shrink", type=float, default=120.0, metavar="SECONDS", help="for each failure"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "failures", help="receives scripts")
    parser.add_argument("--keep", action="store_true", help="add what is found to tests/corpus")
    parser.add_argument("--replay", type=Path, nargs="+", metavar="FILE", help="cases to check")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    console = Console()
    start = time.perf_counter()
    if given.replay:
        warnings.simplefilter("ignore")
        tally = search(map(read_case, given.replay), shrink=given.shrink, out=given.out)
        for found in tally.failures:
            show(found, console)
    else:
        family = "causal" if given.causal else given.family
        tally = spread(given.n, given.seed, given.jobs, family, given.shrink, given.out)
    report(tally, time.perf_counter() - start, console)
    if given.keep:
        keep(tally, console)
    rare = [key for key, count in tally.options.items() if count < RARE]
    if not given.replay and given.n >= 500 and rare:
        console.print(f"[red]drawn fewer than {RARE} times:[/red] {rare}")
        return 1
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
