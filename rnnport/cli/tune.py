"""`rnnport tune DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnport.cli.options import Folder, Json, sizes
from rnnport.cli.outcome import outcome, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from rnnport.tuning.report import Kept, TuneReport

__all__ = ["tune"]


def tune(
    folder: Folder,
    batch: Annotated[
        str | None,
        typer.Option(metavar="B,…", help="Batch sizes it shall be fast at; else 1,8,32."),
    ] = None,
    time: Annotated[
        str | None, typer.Option(metavar="T,…", help="Lengths it shall be fast at; else 1,20,100.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads it will be loaded with; else all processors.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="For each candidate and size.")] = 0.3,
    out: Annotated[
        Path | None, typer.Option(metavar="NEW", help="A new folder; else DIR itself is tuned.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure on this machine how an artifact runs fastest on the CPU, and keep that.

    Tries layouts (the whole batch, one thread, parts side by side) at every size, and for every
    recurrent layer the fused operator and a Scan over all sizes. Outputs stay the same to 1e-6;
    the artifact verifies itself before it is replaced.
    """
    with outcome(as_json):
        import rnnport
        from rnnport.cli.progress import progress

        batches = None if batch is None else sizes("--batch", batch)
        times = None if time is None else sizes("--time", time)
        name = rnnport.open(folder).manifest.name
        with progress(shown=not as_json) as told:
            found = rnnport.tune(
                folder,
                batch=batches,
                time=times,
                threads=threads,
                seconds=seconds,
                out=out,
                progress=told,
            )
        if as_json:
            print_json({"name": name, **found.to_dict()})
        else:
            _show(name, found, out or folder)


def _show(name: str, found: TuneReport, where: Path) -> None:
    from rich.text import Text

    from rnnport.cli.show import facts, stdout

    console = stdout()
    threads = f"{found.threads} thread{'s' * (found.threads != 1)}"
    console.print(Text.assemble((name, "bold"), f" on the CPU, {threads}"))
    console.print(_table(found))
    if found.switched or found.stayed:
        console.print()
        console.print(_operators(found))
    written = f"written to {where}, after verifying it" if found.changed else "nothing to gain"
    told = {"tuned": written}
    if found.notes:
        told["notes"] = "; ".join(found.notes)
    console.print()
    console.print(facts(told))


def _operators(found: TuneReport) -> Table:
    """Every layer that was tried on another operator."""
    from rnnport.cli.show import light_table

    table = light_table("form", "layer", "operator", "tried", "as fast>", "")
    rows = [*((one, "switched") for one in found.switched), *((one, "") for one in found.stayed)]
    for one, mark in rows:
        table.add_row(one.form, one.layer, one.now, one.then, f"{one.gain:.2f}×", mark)
    return table


def _others(row: Kept) -> str:
    """Other layouts, and how many times as long they took."""
    best = row.tried[row.layout]
    times = sorted((us / best, name) for name, us in row.tried.items() if name != row.layout)
    # Lines break between layouts, not within.
    return ", ".join(
        f"{name} {ratio:.2f}×".replace(" ", "\N{NO-BREAK SPACE}") for ratio, name in times
    )


def _table(found: TuneReport) -> Table:
    """Every size: what is used, and how many times as long other layouts take."""
    from rnnport.cli.bench import duration
    from rnnport.cli.show import light_table

    table = light_table("batch>", "time>", "before>", "after>", "gain>", "layout", "others take")
    for row in found.kept:
        before, after = (duration(us / 1e6) for us in (row.before_us, row.after_us))
        gain = f"{row.before_us / row.after_us:.2f}×"
        size = str(row.size.batch), str(row.size.time)
        table.add_row(*size, before, after, gain, row.layout, _others(row))
    return table
