"""Both runtimes against float64, and rnnport's error as a ratio to TensorFlow's own."""

from __future__ import annotations

import math

from rnnport.parity.facts import Accuracy
from rnnport.parity.figures import counted, figure, times
from rnnport.parity.html.blocks import folded, section, table
from rnnport.parity.html.markup import Markup, join, mark, tag, words
from rnnport.parity.ratios import ratios
from rnnport.parity.report import ParityReport

__all__ = ["accuracy"]

_COLUMNS = ("run", "output", "rnnport>", "TensorFlow>", "ratio>", "better · worse")
_OPEN_UP_TO = 12
_REACH = 4.0
_STATES = {"as accurate": "pass", "less accurate": "fail"}


def accuracy(report: ParityReport) -> Markup | None:
    """The section: the law in a sentence, then every run."""
    found, law = report.accuracy, ratios(report)
    if law is None:
        return None
    sign = mark(_STATES[law.verdict]) if law.verdict in _STATES else None
    says = tag("p", sign, tag("span", words(law.sentence)), class_="law")
    truths = "; or ".join(dict.fromkeys(one.truth for one in found))
    note = tag("p", f"The truth is {truths}. A ratio below 1 is nearer to it than TensorFlow is.")
    rows = table(_COLUMNS, [_row(one) for one in found], class_="accuracy stack")
    title = counted(len(found), "comparison")
    return section(
        "accuracy",
        "Compared with float64",
        says,
        note,
        folded(title, rows, opened=len(found) <= _OPEN_UP_TO),
    )


def _row(one: Accuracy) -> list[str]:
    return [
        one.case,
        one.output,
        figure(one.error),
        figure(one.tensorflow),
        times(one.ratio),
        _balance(one.ratio),
    ]


def _balance(ratio: float) -> Markup:
    """A bar from 1 in the middle, to the left where rnnport is nearer to the truth."""
    reach = math.log(min(_REACH, max(1 / _REACH, ratio))) / math.log(_REACH)
    side = "worse" if reach > 0 else "better"
    place = "left:50%" if reach > 0 else "right:50%"
    bar = tag("span", style=f"{place};width:{50 * abs(reach):.1f}%", class_=side)
    return tag("span", join(bar), class_="balance", aria_hidden="true")
