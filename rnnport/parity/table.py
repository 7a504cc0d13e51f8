"""A parity report as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Table
from rich.text import Text

from rnnport.parity.report import ParityReport
from rnnport.spec import Check

__all__ = ["parity_table", "verdict_line"]


def parity_table(checks: Iterable[Check]) -> Table:
    """One row a check: what, output, max abs error, bound, verdict, and why where it failed."""
    rows = list(checks)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    table.add_column("check", overflow="fold")
    table.add_column("output", overflow="fold")
    table.add_column("max abs error", justify="right", no_wrap=True)
    table.add_column("bound", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    if any(check.note for check in rows):
        table.add_column("why", overflow="fold")
    for check in rows:
        style = "" if check.passed else "red"
        note = [Text(check.note)] if check.note else []
        table.add_row(Text(check.name), Text(check.output), *_figures(check), *note, style=style)
    return table


def verdict_line(report: ParityReport) -> Text:
    """The whole report in one line."""
    total = len(report.checks)
    where = f"{report.name} on {report.provider}"
    if not report.passed:
        failed = len(report.failures)
        return Text(f"✗ {where}: {failed} of {total} checks failed", style="bold red")
    count = "the one check" if total == 1 else f"all {total} checks"
    line = Text(f"✓ {where}: {count} passed", style="bold green")
    if report.worst is not None:
        line.append(f", worst error {_number(report.worst.error)}", style="default not bold")
        line.append(f" (bound {_number(report.worst.bound)})", style="dim not bold")
    return line


def _figures(check: Check) -> tuple[str, str, Text]:
    verdict = Text("pass", style="green") if check.passed else Text("FAIL", style="bold red")
    return _number(check.error), _number(check.bound), verdict


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return "0" if value == 0 else f"{value:.1e}"
