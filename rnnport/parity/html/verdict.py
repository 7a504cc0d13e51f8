"""The top of the page: what came out, how near it was, and where differences start."""

from __future__ import annotations

from collections.abc import Iterator

from rnnport.parity.figures import figure, times
from rnnport.parity.groups import share
from rnnport.parity.html.markup import Markup, mark, tag, words
from rnnport.parity.ratios import ratios
from rnnport.parity.report import ParityReport
from rnnport.parity.sentences import headline, lack_lines, margin, starts, summary

__all__ = ["STATES", "verdict"]

STATES = {"passed": "pass", "failed": "fail", "cannot run": "halt"}


def verdict(report: ParityReport) -> Markup:
    """The verdict, in a sign, a word and a sentence, and the figures that matter."""
    word = headline(report)
    state = STATES[word]
    head = tag(
        "div",
        mark(state),
        tag("div", tag("p", word.capitalize(), class_="word"), tag("p", words(summary(report)))),
        class_="outcome",
    )
    return tag(
        "div", head, _lacks(report), _starts(report), _tiles(report), class_=f"verdict {state}"
    )


def _lacks(report: ParityReport) -> Markup | None:
    if not report.lacks:
        return None
    return tag("ul", *(tag("li", words(line)) for line in lack_lines(report)), class_="findings")


def _starts(report: ParityReport) -> Markup | None:
    found = starts(report)
    if not found:
        return None
    items = [tag("li", tag("b", kind), ": ", words(start)) for kind, start in found]
    title = tag("p", "Where the differences start", class_="label")
    return tag("div", title, tag("ul", *items, class_="findings"))


def _tiles(report: ParityReport) -> Markup:
    tiles = [
        tag("div", tag("dt", label), tag("dd", tag("b", value), tag("span", note)))
        for label, value, note in _figures(report)
    ]
    return tag("dl", *tiles, class_="tiles")


def _figures(report: ParityReport) -> Iterator[tuple[str, str, Markup]]:
    """Label, figure, and what to read it against."""
    total = len(report.checks)
    if total:
        good = total - len(report.failures)
        yield "checks passed", f"{good:,} of {total:,}", words(_kinds(report))
    worst = report.worst
    if worst is not None:
        beyond = (share(worst) or 0.0) > 1
        place = f"{margin(worst)}: {worst.kind}" if worst.kind else margin(worst)
        yield "worst error", figure(worst.error), tag("em" if beyond else "span", place)
    found = ratios(report)
    if found is not None:
        yield (
            "error against float64",
            times(found.median),
            words(f"TensorFlow’s own, median; worst {times(found.worst)}"),
        )
    yield "provider", report.provider, words(f"in {report.seconds:.1f} s" if report.seconds else "")


def _kinds(report: ParityReport) -> str:
    kinds = len({check.kind for check in report.checks})
    return f"of {kinds} kinds" if kinds > 1 else "of one kind"
