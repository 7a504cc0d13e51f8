"""`rnnport verify DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnport.cli.options import Folder, Json, ProviderName
from rnnport.cli.outcome import OK, PARITY_FAILED, finish, outcome, print_json

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
        Path | None, typer.Option(metavar="FILE", help="Write a report; comes later.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that an artifact computes what TensorFlow computes; needs TensorFlow for --model."""
    with outcome(as_json):
        import rnnport

        if model is not None:
            from rnnport.cli.quiet import load_exporter

            load_exporter()
        found = rnnport.verify(folder, provider=provider, model=model, report=report)
        _show(found, as_json)
        finish(OK if found.passed else PARITY_FAILED)


def _show(report: ParityReport, as_json: bool) -> None:
    if as_json:
        print_json(report.to_dict())
        return
    from rnnport.cli.show import stdout
    from rnnport.parity.table import parity_table, verdict_line

    stdout().print(parity_table(report.checks), "", verdict_line(report), sep="\n")
