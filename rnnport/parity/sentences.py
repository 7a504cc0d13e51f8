"""What a report says in words: the same in HTML, in the terminal and in an AssertionError."""

from __future__ import annotations

from dataclasses import replace

from rnnport.parity.figures import counted, figure, share_text
from rnnport.parity.groups import grouped, share
from rnnport.parity.report import ParityReport
from rnnport.spec import Check

__all__ = [
    "failed_kinds",
    "headline",
    "lack_lines",
    "lacking_forms",
    "margin",
    "place",
    "reason",
    "starts",
    "summary",
]


def headline(report: ParityReport) -> str:
    """The verdict: "passed", "failed" or "cannot run"."""
    if report.lacks and not report.failures:
        return "cannot run"
    return "passed" if report.passed else "failed"


def summary(report: ParityReport) -> str:
    """What came out, in one sentence."""
    total = len(report.checks)
    if report.lacks:
        return f"{report.provider} cannot run {lacking_forms(report)}.{_rest(report)}"
    if not total:
        return "Nothing was compared, and so nothing is proven."
    if not report.passed:
        kinds = f": {failed_kinds(report)}" if any(check.kind for check in report.checks) else ""
        return f"{len(report.failures)} of {counted(total, 'check')} failed{kinds}."
    passed = "The one check passed" if total == 1 else f"All {total:,} checks passed"
    return f"{passed}{_worst(report)}."


def lacking_forms(report: ParityReport) -> str:
    """What the provider cannot run: "this model", or some of its other forms."""
    forms = list(dict.fromkeys(lack.form for lack in report.lacks))
    if "model" in forms or not report.checks:
        return "this model"
    return " and ".join(f"{form}.onnx" for form in forms)


def failed_kinds(report: ParityReport) -> str:
    """How many failed of each kind: "3 of 5 masks, 1 of 8 streaming"."""
    return ", ".join(
        f"{len(group.failures)} of {len(group.checks)} {group.title}"
        for group in grouped(report.checks)
        if not group.passed
    )


def starts(report: ParityReport) -> list[tuple[str, str]]:
    """Where differences start: kind and words, one for every kind that failed and knows."""
    found = []
    for group in grouped(report.checks):
        first = next((check.start for check in group.failures if check.start), "")
        if first:
            found.append((group.title, first))
    return found


def margin(check: Check) -> str:
    """Error against bound in words: "31 % of its bound", "12 × its bound", "equal"."""
    part = share(check)
    if part is None:
        return "nothing was measured"
    if part == 0:
        return "equal"
    if check.bound == 0.0:
        return "not equal"
    return f"{share_text(part)} of its bound" if part <= 1 else f"{share_text(part)} its bound"


def reason(check: Check) -> str:
    """Why a check failed: its note, or its error against its bound."""
    exact = check.bound == 0.0 or check.error is None or check.error <= check.bound
    if check.error is None or (check.note and exact):
        return check.note or "nothing was measured"
    size = f"max abs error {figure(check.error)}, bound {figure(check.bound)} ({margin(check)})"
    return f"{size}; {check.note}" if check.note else size


def place(check: Check) -> str:
    """What was compared: the run, and the output where there is one."""
    return f"{check.name}, output {check.output}" if check.output else check.name


def lack_lines(report: ParityReport) -> list[str]:
    """Every lack in one line: "model, LSTM: ignores sequence_lens"."""
    return [f"{lack.form}, {lack.op}: {lack.reason}" for lack in report.lacks]


def _rest(report: ParityReport) -> str:
    """Of a provider that runs some forms and not others: how those came out."""
    if not report.checks:
        return ""
    return f" Of the rest: {summary(replace(report, lacks=()))}"


def _worst(report: ParityReport) -> str:
    worst = report.worst
    if worst is None:
        return ""
    if worst.bound == 0.0:
        return ", all values equal"
    return f", worst error {figure(worst.error)}, {margin(worst)}"
