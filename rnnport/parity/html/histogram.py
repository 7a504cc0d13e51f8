"""How large the differences from TensorFlow are, by decade."""

from __future__ import annotations

from collections.abc import Sequence

from rnnport.parity.facts import Histogram
from rnnport.parity.figures import counted, percent, power
from rnnport.parity.html.blocks import section
from rnnport.parity.html.markup import Markup, tag

__all__ = ["histograms"]


def histograms(found: Sequence[Histogram]) -> Markup | None:
    """The section: one figure for each output."""
    if not found:
        return None
    words = tag(
        "p",
        "Every value of the golden runs: |rnnport − TensorFlow| over the largest expected "
        "magnitude, or 1.",
    )
    charts = tag("div", *(_chart(one) for one in found), class_="charts")
    return section("histogram", "Differences from TensorFlow", words, charts)


def _chart(one: Histogram) -> Markup:
    total = one.exact + sum(one.counts.values())
    title = tag("figcaption", tag("b", one.output), f" {counted(total, 'value')}")
    rows = [_bar("equal", one.exact, total, exact=True)]
    if one.counts:
        decades = range(min(one.counts), max(one.counts) + 1)
        rows += [_bar(f"{power(e)} – {power(e + 1)}", one.counts.get(e, 0), total) for e in decades]
    return tag("figure", title, tag("div", *rows, class_="bars"))


def _bar(label: str, count: int, total: int, *, exact: bool = False) -> Markup:
    part = count / total if total else 0.0
    size = f"max(2px,{100 * part:.2f}%)" if count else "0"
    bar = tag("span", style=f"width:{size}", class_="exact" if exact else None)
    words = f"{count:,} · {percent(part)}" if count else "0"
    return tag(
        "div",
        tag("span", label, class_="decade"),
        tag("span", bar, class_="track", aria_hidden="true"),
        tag("span", words, class_="amount"),
    )
