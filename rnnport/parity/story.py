"""Why a report did not pass, for an AssertionError."""

from __future__ import annotations

from rnnport.parity.report import ParityReport
from rnnport.parity.sentences import lack_lines, place, reason, summary
from rnnport.spec import Check

__all__ = ["failure_story"]

_ROWS = 12


def failure_story(report: ParityReport, *endings: str) -> str:
    """The verdict, the rows that failed and where they start, then what else is to be said.

    Args:
        report: one that did not pass.
        endings: lines for the end; empty ones are left out.
    """
    rows = [line for check in report.failures[:_ROWS] for line in _row(check)]
    more = len(report.failures) - _ROWS
    rest = [f"  … and {more} more"] if more > 0 else []
    lacks = [f"  {line}" for line in lack_lines(report)]
    head = f"{report.name} on {report.provider}: {summary(report)}"
    return "\n".join([head, *lacks, *rows, *rest, *filter(None, endings)])


def _row(check: Check) -> list[str]:
    kind = f"{check.kind}: " if check.kind else ""
    lines = [f"  {kind}{place(check)}: {reason(check)}"]
    return [*lines, f"    starts: {check.start}"] if check.start else lines
