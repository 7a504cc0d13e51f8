"""`rnnport bench DIR`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rnnport.cli.options import Folder, Json, ProviderName, sizes
from rnnport.cli.outcome import outcome, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from rnnport.runtime.benchmark import BenchReport, BenchRow, Timing

__all__ = ["bench", "duration"]


def bench(
    folder: Folder,
    provider: ProviderName = "auto",
    batch: Annotated[
        str, typer.Option(metavar="B,…", help="Batch sizes, where the model takes any.")
    ] = "1,8,32",
    time: Annotated[
        str, typer.Option(metavar="T,…", help="Lengths, where the model takes any.")
    ] = "1,20,100",
    threads: Annotated[
        int | None, typer.Option(help="Threads inside one operator; else as many as it likes.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="For each row; 5 calls at least.")] = 1.0,
    as_json: Json = False,
) -> None:
    """Time an artifact on this machine: runs, stream steps, first run, loading, memory.

    Inputs are random. Medians, with quartiles in brackets. No TensorFlow needed.
    """
    with outcome(as_json):
        import rnnport
        from rnnport.cli.progress import progress
        from rnnport.parity.machine import machine, versions_here
        from rnnport.runtime.benchmark import benchmark

        batches, times = sizes("--batch", batch), sizes("--time", time)
        artifact = rnnport.open(folder)
        with progress(shown=not as_json) as told:
            found = benchmark(
                artifact,
                provider=provider,
                threads=threads,
                batches=batches,
                times=times,
                seconds=seconds,
                progress=told,
            )
        around = {"machine": machine(), "versions": versions_here(found.provider)}
        name = artifact.manifest.name
        if as_json:
            print_json({"name": name, **around, **found.to_dict()})
            return
        _show(name, found, around)


def _show(name: str, found: BenchReport, around: dict[str, dict[str, str]]) -> None:
    from rich.text import Text

    from rnnport.cli.show import facts, stdout

    console = stdout()
    threads = "threads as it likes" if found.threads is None else _count(found.threads, "thread")
    head = Text.assemble((name, "bold"), f" on {found.provider}, {threads}")
    console.print(head)
    console.print(_rows_table(found.rows))
    memory = found.memory
    console.print(
        facts(
            {
                "load": _spread(found.load),
                "first run": duration(found.first_run),
                "memory": ", ".join(f"{key} {_size(size)}" for key, size in memory.items()),
                "machine": "{processor}, {cores} cores, {system}".format(**around["machine"]),
                "versions": ", ".join(f"{k} {v}" for k, v in around["versions"].items()),
            }
        )
    )


def _rows_table(rows: list[BenchRow]) -> Table:
    from rnnport.cli.show import light_table

    table = light_table("form", "batch>", "time>", "median>", "quartiles>", "a second>")
    for row in rows:
        size = str(row.batch), "–" if row.time is None else str(row.time)
        if row.timing is None:
            table.add_row(row.form, *size, "–", "", f"refused: {row.note}")
            continue
        low, high = duration(row.timing.low), duration(row.timing.high)
        unit = "sequences" if row.form == "generate" else "steps"
        rate = f"{row.rate:,.0f} {unit}" if row.rate >= 10 else f"{row.rate:.2g} {unit}"
        table.add_row(row.form, *size, duration(row.timing.median), f"{low} … {high}", rate)
    return table


def _spread(timing: Timing) -> str:
    low, high = duration(timing.low), duration(timing.high)
    return f"{duration(timing.median)} [{low} … {high}]"


def duration(seconds: float) -> str:
    """In s, ms or µs."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def _size(count: int) -> str:
    from rich.filesize import decimal

    return decimal(count)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
