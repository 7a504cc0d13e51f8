"""Error over time: rnnport and TensorFlow, each against the same float64 run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rnnport.parity.facts import Accuracy
from rnnport.parity.figures import counted, figure, power
from rnnport.parity.html.axes import Decades, binned, step_ticks
from rnnport.parity.html.blocks import folded, section
from rnnport.parity.html.markup import Markup, tag, words

__all__ = ["steps"]

_POINTS = 360
_SHOWN = 2
_WIDTH, _HEIGHT = 1000, 300


def steps(accuracy: Sequence[Accuracy], provider: str) -> Markup | None:
    """The section; the longest runs are shown, others are behind them."""
    timed = [one for one in accuracy if one.steps]
    if not timed:
        return None
    timed.sort(key=lambda one: -len(one.steps))
    charts = [_chart(one, provider) for one in timed]
    note = tag(
        "p",
        "Largest error at each step, relative to the largest magnitude of the truth, or 1. "
        "Zero, and what is smaller than the scale, lies on the lower edge.",
    )
    rest = charts[_SHOWN:]
    more = [folded(f"{counted(len(rest), 'further run')}", tag("div", *rest, class_="charts"))]
    shown = tag("div", *charts[:_SHOWN], class_="charts")
    return section("steps", "Error over time", note, shown, *(more if rest else ()))


def _chart(one: Accuracy, provider: str) -> Markup:
    sides = {f"rnnport on {provider}": one.steps, "TensorFlow, float32": one.tensorflow_steps}
    lines = {name: values for name, values in sides.items() if values}
    _, size = binned(one.steps, _POINTS)
    merged = f"; each point is the largest of {size} steps" if size > 1 else ""
    title = tag("figcaption", tag("b", one.output), f" {one.case}, against {one.truth}{merged}")
    points = {name: binned(values, _POINTS)[0] for name, values in lines.items()}
    axis = Decades.around(value for values in points.values() for value in values)
    figures = tag("ul", *(_figures(*line, i) for i, line in enumerate(lines.items())), class_="key")
    if axis is None:
        return tag("figure", title, tag("p", "No error at any step."), figures)
    return tag("figure", title, _plot(axis, list(points.values()), one), figures)


def _plot(axis: Decades, lines: Sequence[Sequence[float]], one: Accuracy) -> Markup:
    """Text is HTML beside the drawing, so that it keeps its size when the drawing stretches."""
    grid = [tag("path", d=f"M0 {_y(axis, e)}H{_WIDTH}", class_="grid") for e in axis.ticks]
    paths = [tag("path", d=_path(axis, line), class_=f"line{i}") for i, line in enumerate(lines)]
    label = f"error of {one.output} over {counted(len(one.steps), 'step')}"
    drawing = tag(
        "svg",
        *grid,
        *reversed(paths),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )
    return tag("div", _left(axis), drawing, _below(len(one.steps)), class_="plot")


def _left(axis: Decades) -> Markup:
    labels = [
        tag("span", power(e), style=f"top:{100 - 100 * axis.place(10.0**e):.2f}%")
        for e in axis.ticks
    ]
    return tag("div", *labels, class_="up", aria_hidden="true")


def _below(count: int) -> Markup:
    ticks = step_ticks(count)
    labels = [
        tag("span", f"{tick:,}", style=f"left:{100 * (tick - 1) / max(1, count - 1):.2f}%")
        for tick in ticks
        if tick == 1 or (tick - 1) / max(1, count - 1) > 0.06
    ]
    return tag("div", *labels, tag("em", "step"), class_="along", aria_hidden="true")


def _path(axis: Decades, values: Sequence[float]) -> str:
    """The line of one runtime, broken where an error is not finite."""
    points = [*values] * 2 if len(values) == 1 else values
    parts, pen = [], "M"
    for i, value in enumerate(points):
        if not math.isfinite(value):
            pen = "M"
            continue
        x = _WIDTH * i / (len(points) - 1)
        parts.append(f"{pen}{x:.1f} {_HEIGHT * (1 - axis.place(value)):.1f}")
        pen = "L"
    return "".join(parts)


def _y(axis: Decades, exponent: int) -> str:
    return f"{_HEIGHT * (1 - axis.place(10.0**exponent)):.1f}"


def _figures(name: str, values: Sequence[float], index: int) -> Markup:
    """The key, and in words what the line shows."""
    sample = tag("path", d="M0 6H28", class_=f"line{index}")
    key = tag("svg", sample, viewBox="0 0 28 12", class_="sample", aria_hidden="true")
    worst = max(range(len(values)), key=values.__getitem__)
    ends = f": {figure(values[0])} at step 1, {figure(values[-1])} at step {len(values):,}, "
    most = f"at most {figure(values[worst])} at step {worst + 1:,}"
    return tag("li", key, tag("span", tag("b", name), words(ends + most)))
