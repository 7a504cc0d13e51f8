"""`rnnport tune DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnport.cli.options import Folder, Json, sizes
from rnnport.cli.outcome import outcome, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from rnnport.tuning_report import TuneReport

__all__ = ["tune"]


def tune(
    folder: Folder,
    batch: Annotated[
        str, typer.Option(metavar="B,…", help="Batch sizes it shall be fast at.")
    ] = "1,8,32",
    time: Annotated[
        str, typer.Option(metavar="T,…", help="Lengths it shall be fast at.")
    ] = "1,20,100",
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
    recurrent layer the fused operator and a Scan. Outputs stay the same to 1e-6; the artifact
    verifies itself before it is replaced.
    """
    with outcome(as_json):
        import rnnport
        from rnnport.cli.progress import progress

        batches, times = sizes("--batch", batch), sizes("--time", time)
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
    switched = [
        f"{one.form}, {one.layer}: {one.now} to {one.then}, {one.gain:.2f} times as fast"
        for one in found.switched
    ]
    written = f"written to {where}, after verifying it" if found.changed else "nothing to gain"
    told = {"switched": "; ".join(switched) or "no layer", "tuned": written}
    if found.notes:
        told["notes"] = "; ".join(found.notes)
    console.print(facts(told))


def _table(found: TuneReport) -> Table:
    from rich import box
    from rich.table import Table

    from rnnport.cli.bench import duration

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for column in ("batch", "time", "before", "after", "gain", "layout"):
        table.add_column(column, justify="left" if column == "layout" else "right")
    for row in found.kept:
        before, after = (duration(us / 1e6) for us in (row.before_us, row.after_us))
        gain = f"{row.before_us / row.after_us:.2f}×"
        table.add_row(str(row.size.batch), str(row.size.time), before, after, gain, row.layout)
    return table
