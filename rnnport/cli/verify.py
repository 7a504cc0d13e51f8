"""`rnnport verify DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnport.cli.options import Folder, Json, ProviderName
from rnnport.cli.outcome import OK, PARITY_FAILED, REFUSED, finish, outcome, print_json

if TYPE_CHECKING:
    from rnnport.parity.report import ParityReport

__all__ = ["verify"]


def verify(
    folder: Folder,
    provider: ProviderName = "cpu",
    model: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The Keras model: compare on fresh inputs too."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Write the report as one HTML file."),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE.xml", help="Write JUnit XML, for continuous integration."),
    ] = None,
    checks: Annotated[
        list[str] | None,
        typer.Option("--check", metavar="KIND", help="Ask this alone; may be given many times."),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Of inputs drawn here: the same seed draws the same.")
    ] = 0,
    every_row: Annotated[
        bool, typer.Option("--all", help="Print every check, those of kinds that passed too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check that an artifact computes what TensorFlow computes; needs TensorFlow for --model."""
    with outcome(as_json):
        import rnnport
        from rnnport.cli.progress import progress
        from rnnport.cli.quiet import load_exporter
        from rnnport.parity.writing import check_report_path, write_junit

        if junit is not None:
            check_report_path(junit, ".xml")
        if report is not None:
            check_report_path(report, ".html")
        with progress(shown=not as_json) as told:
            if model is not None:
                told("loading TensorFlow", 0.0)
                load_exporter()
            found = rnnport.verify(
                folder,
                provider=provider,
                model=model,
                report=report,
                seed=seed,
                checks=checks or None,
                progress=told,
            )
        if junit is not None:
            write_junit(found, junit)
        _show(found, [path for path in (report, junit) if path], every_row, as_json)
        finish(_code(found))


def _code(report: ParityReport) -> int:
    if report.lacks and not report.failures:
        return REFUSED
    return OK if report.passed else PARITY_FAILED


def _show(report: ParityReport, written: list[Path], every_row: bool, as_json: bool) -> None:
    if as_json:
        print_json(report.to_dict())
        return
    from rnnport.cli.show import stdout
    from rnnport.parity.table import parity_lines

    console = stdout()
    console.print(parity_lines(report, every_row=every_row))
    for path in written:
        console.print(f"written: {path}", markup=False, soft_wrap=True)
