"""A parity report for the terminal: one line a kind, every row where something failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich import box
from rich.console import Group as Lines
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rnnport.parity.figures import figure
from rnnport.parity.groups import Group, grouped
from rnnport.parity.ratios import ratios
from rnnport.parity.report import ParityReport
from rnnport.parity.sentences import lack_lines, lacking_forms
from rnnport.spec import Check

__all__ = ["kinds_table", "parity_lines", "parity_table", "verdict_line"]


def parity_lines(report: ParityReport, *, every_row: bool = False) -> Lines:
    """Kinds, rows, accuracy and how to reproduce a failure, then the verdict.

    Args:
        report: what to show.
        every_row: the rows of kinds that passed, too.
    """
    groups = grouped(report.checks)
    blocks: list[RenderableType] = [kinds_table(groups), Text()] if groups else []
    for group in groups:
        if every_row or not group.passed:
            style = "bold cyan" if group.passed else "bold red"
            rows = [*group.failures, *(check for check in group.checks if check.passed)]
            table = Padding(parity_table(rows), (0, 0, 1, 2), expand=False)
            blocks += [Text(group.title, style=style), table]
    return Lines(*blocks, *_remarks(report), verdict_line(report))


def kinds_table(groups: Iterable[Group]) -> Table:
    """One row a kind: how many checks passed, the worst error, its bound, the verdict."""
    table = _table("kind", "passed>", "worst error>", "bound>", "verdict")
    for group in groups:
        worst = group.worst
        figures = (figure(worst.error), _bound(worst)) if worst else ("–", "–")
        total = len(group.checks)
        count = f"{total - len(group.failures)} of {total}"
        style = "" if group.passed else "red"
        table.add_row(Text(group.title), count, *figures, _verdict(group.passed), style=style)
    return table


def parity_table(checks: Iterable[Check]) -> Table:
    """One row a check: what, output, max abs error, bound, verdict, and why where it failed."""
    table = _table("check", "output", "max abs error>", "bound>", "verdict")
    for check in checks:
        style = "" if check.passed else "red"
        table.add_row(
            Lines(*_words(check)),
            Text(check.output),
            figure(check.error),
            _bound(check),
            _verdict(check.passed),
            style=style,
        )
    return table


def verdict_line(report: ParityReport) -> Text:
    """The whole report in one line."""
    total = len(report.checks)
    where = f"{report.name} on {report.provider}"
    if report.lacks and not report.failures:
        lacking = f"cannot run {lacking_forms(report)}"
        rest = f"; {total} of {total} checks of the rest passed" if total else ""
        return Text(f"✗ {where}: {lacking}{rest}", style="bold yellow")
    if not total:
        return Text(f"✗ {where}: nothing was compared", style="bold red")
    if not report.passed:
        failed = len(report.failures)
        return Text(f"✗ {where}: {failed} of {total} checks failed", style="bold red")
    count = "the one check" if total == 1 else f"all {total} checks"
    line = Text(f"✓ {where}: {count} passed", style="bold green")
    if report.worst is not None:
        line.append(f", worst error {figure(report.worst.error)}", style="default not bold")
        line.append(f" (bound {figure(report.worst.bound)})", style="dim not bold")
    return line


def _remarks(report: ParityReport) -> Iterator[Text]:
    """What the provider lacks, how accurate the model is, how to see a failure again."""
    lines = [("lacks", line, "yellow") for line in lack_lines(report)]
    law = ratios(report)
    if law is not None:
        lines.append(("accuracy", law.sentence, "red" if law.verdict == "less accurate" else ""))
    if report.command and not report.passed:
        lines.append(("reproduce", report.command, ""))
    for label, words, style in lines:
        yield Text.assemble((f"{label}: ", "dim"), (words, style))
    if lines:
        yield Text()


def _words(check: Check) -> Iterator[RenderableType]:
    """The check's name; below it its note and where a difference starts."""
    yield Text(check.name)
    if check.note:
        yield Padding(Text(check.note, style="dim"), (0, 0, 0, 2))
    if check.start:
        yield Padding(Text(f"starts: {check.start}", style="dim"), (0, 0, 0, 2))


def _table(*columns: str) -> Table:
    """A light table; a column named with a trailing ">" holds numbers, which never wrap."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for column in columns:
        number = column.endswith(">")
        table.add_column(
            column.removesuffix(">"),
            justify="right" if number else "left",
            no_wrap=number or column == "verdict",
            overflow="fold",
        )
    return table


def _bound(check: Check) -> str:
    """Of whole numbers, "equal"; none where nothing was measured."""
    if check.error is None:
        return "–"
    return "equal" if check.bound == 0.0 else figure(check.bound)


def _verdict(passed: bool) -> Text:
    return Text("pass", style="green") if passed else Text("FAIL", style="bold red")
