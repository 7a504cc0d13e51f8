"""Every check, by the question it answers: one line a kind, its rows behind it."""

from __future__ import annotations

from collections.abc import Sequence

from rnnport.parity.figures import figure, share_text
from rnnport.parity.groups import QUESTIONS, Group, grouped, share
from rnnport.parity.html.blocks import section, table
from rnnport.parity.html.markup import Markup, join, mark, tag, words
from rnnport.parity.sentences import margin
from rnnport.spec import Check

__all__ = ["checks"]

_COLUMNS = ("check", "output", "max abs error>", "bound>", "of the bound>", "verdict")


def checks(found: Sequence[Check]) -> Markup | None:
    """The section; kinds with a failure are open, what failed comes first."""
    if not found:
        return None
    return section("checks", "Checks", *(_kind(group) for group in grouped(found)))


def _kind(group: Group) -> Markup:
    ordered = [*group.failures, *(check for check in group.checks if check.passed)]
    marked = ["failed"] * len(group.failures)
    rows = [_row(check) for check in ordered]
    body = tag("div", table(_COLUMNS, rows, marked, class_="rows stack"), class_="inside")
    return tag("details", _line(group), body, open=not group.passed, class_="kind")


def _line(group: Group) -> Markup:
    state = "pass" if group.passed else "fail"
    total = len(group.checks)
    good = total - len(group.failures)
    return tag(
        "summary",
        mark(state),
        tag("span", tag("b", group.title), tag("span", _question(group)), class_="what"),
        tag("span", f"{good} of {total}", class_="count"),
        tag("span", *_margin(group), class_="margin"),
    )


def _question(group: Group) -> str:
    return QUESTIONS.get(group.kind, "")


def _margin(group: Group) -> tuple[Markup, ...]:
    """How much of its bound the worst check takes up, drawn and in words."""
    worst = group.worst
    if worst is None:
        return (tag("span", "nothing was measured"),)
    part = share(worst) or 0.0
    state = "over" if part > 1 else None
    width = f"width:{100 * min(1.0, part):.1f}%"
    filled = tag("span", style=width, class_=state) if part else None
    bar = tag("span", filled, class_="meter", aria_hidden="true")
    return (bar, tag("span", margin(worst)))


def _row(check: Check) -> list[str]:
    state = "pass" if check.passed else "fail"
    says = tag("span", "pass" if check.passed else "FAIL", class_=f"says {state}")
    name = join(check.name, _remark("", check.note), _remark("starts: ", check.start))
    exact = check.bound == 0.0 and check.error is not None
    return [
        name,
        check.output,
        figure(check.error),
        "equal" if exact else figure(check.bound) if check.error is not None else "–",
        "–" if exact and check.passed else share_text(share(check)),
        says,
    ]


def _remark(label: str, text: str) -> Markup | None:
    return tag("p", label, words(text), class_="remark") if text else None
