"""The run itself: model after model, row after row, told on a bar and kept in a file."""

from __future__ import annotations

import argparse
import itertools
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from page import make_page
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from timing import CORES, QUIET, cpu_model

from rnnport.cli.quiet import load_exporter
from rnnport.runtime.neighbours import NEIGHBOURS
from rnnport.versions import library_versions
from suite.field import Field, reason, standing
from suite.fresh import fresh_processes
from suite.measure import Limits
from suite.peers.registry import OURS, PEERS
from suite.rows import describe, run_row
from suite.store import Store, disturbed
from suite.workloads import Workload, every_workload, quick_workloads, select

__all__ = ["GRID", "chosen_workloads", "header", "known", "results_file", "run"]

LIMITS = {"quiet": QUIET, "neighbours": NEIGHBOURS}
GRID = Path("artifacts", "bench", "grid.jsonl")


def run(options: argparse.Namespace, root: Path) -> int:
    """Do what the command line says; 1 where rnnport differed or failed on a row."""
    workloads = chosen_workloads(options)
    if options.list:
        print("\n".join(work.key for work in workloads))
        return 0
    console = Console(stderr=True, highlight=False)
    with console.status("loading TensorFlow"):
        load_exporter()
        _set_threads(options.threads)
    out = options.out or root / results_file(options)
    limits = Limits(seconds=options.seconds)
    try:
        store = Store(out, header(options.threads, limits), resume=options.resume)
    except ValueError as error:
        console.print(f"{error}; leave --resume out to begin anew", style="red")
        return 2
    rows = store.results.rows
    pending = [work for work in workloads if not known(rows.get(work.key), options.again)]
    failed = _measure(pending, store, limits, options.threads, console)
    if not options.no_fresh:
        with console.status("processes of their own"):
            for record in fresh_processes(options.threads, set(store.results.fresh)):
                store.add(record)
    page = options.page or _page_of(out, root)
    if page is not None:
        make_page(store.results, page)
    console.print(f"{len(store.results.rows)} rows in {out.name}" + (f", {page}" if page else ""))
    return 1 if failed else 0


def results_file(options: argparse.Namespace) -> Path:
    """Where results go, from the repository's root; some rows never replace the whole grid."""
    if options.quick:
        return Path(".cache", "bench", "quick.jsonl")
    if options.rows and not options.resume:
        return Path(".cache", "bench", "rows.jsonl")
    return GRID


def _page_of(out: Path, root: Path) -> Path | None:
    """Only the grid's own file makes the committed document."""
    return root / "docs" / "performance.md" if out.resolve() == (root / GRID).resolve() else None


def chosen_workloads(options: argparse.Namespace) -> list[Workload]:
    """By --quick and --rows."""
    every = quick_workloads() if options.quick else every_workload()
    return select(every, options.rows)


def header(threads: int, limits: Limits) -> dict[str, Any]:
    """Everything a figure depends on."""
    distributions = [name for peer in PEERS for name in peer.distributions]
    return {
        "cpu": cpu_model(),
        "cores": CORES,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "threads": threads,
        "versions": library_versions(*dict.fromkeys(distributions)),
        "pause_s": limits.pause,
        "waits": "until the threads sleep",
        "block_s": limits.block,
        "seconds": limits.seconds,
        **LIMITS,
    }


def _set_threads(threads: int) -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)


def known(row: dict[str, Any] | None, again: str | None) -> bool:
    """Whether a row need not be measured.

    Args:
        row: its record, if there is one; a failed one is tried again.
        again: "disturbed" rows, or "all".
    """
    if row is None or "failed" in row or again == "all":
        return False
    return not (again == "disturbed" and disturbed(row, LIMITS))


def _measure(
    pending: list[Workload], store: Store, limits: Limits, threads: int, console: Console
) -> int:
    """How many rows failed."""
    failed = 0
    columns = (
        TextColumn("{task.description:<44}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, speed_estimate_period=600) as bar:
        task = bar.add_task("", total=len(pending))
        for model, group in itertools.groupby(pending, key=lambda work: work.model):
            bar.update(task, description=f"exporting {model.title}")
            for work, record in _records(list(group), store, limits, threads):
                store.add(record)
                failed += "failed" in record
                bar.update(task, advance=1, description=work.key)
                if "failed" in record:
                    console.print(f"{work.key}: {record['failed']}", style="red")
                elif not sys.stderr.isatty():
                    _tell(record)
    return failed


def _records(
    works: list[Workload], store: Store, limits: Limits, threads: int
) -> Iterator[tuple[Workload, dict[str, Any]]]:
    """The rows of one model; a failure of rnnport's is a record too."""
    try:
        with standing(works[0].model, threads, works[0]) as field:
            if field.costs:
                store.add(field.costs)
            for work in works:
                yield work, _one(work, field, limits)
    except GeneratorExit:
        raise
    except Exception as error:
        for work in works:
            if work.key not in store.results.rows:
                yield work, {**describe(work), "failed": reason(error), "us": {}}


def _one(work: Workload, field: Field, limits: Limits) -> dict[str, Any]:
    try:
        return run_row(work, field, limits)
    except Exception as error:
        return {**describe(work), "failed": reason(error), "us": {}}


def _tell(record: dict[str, Any]) -> None:
    times = record["us"]
    ours = times[OURS][0]
    others = ", ".join(f"{n} {t[0] / ours:.2f}" for n, t in times.items() if n != OURS)
    print(f"{record['row']}: {ours:,.1f} µs; {others}", file=sys.stderr, flush=True)
