"""The pictures of docs/performance.md: light, legible, one message each."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suite.growth import AXES, points
from suite.peers.registry import OURS, RIVALS
from suite.verdicts import Row, groups, of_grid
from suite.workloads import BATCHES, KINDS, SIZES, TIMES

__all__ = ["draw_floor", "draw_growth", "draw_ratios"]

INK, GRID = "#222222", "#dddddd"
AHEAD, LEVEL, BEHIND = "#2a7f62", "#c8a13a", "#b8432f"
LINES = {
    OURS: ("#1b6ca8", "-"),
    "tf2onnx": ("#d1603d", "-"),
    "tf.function": ("#7b5ea7", "-"),
    "XLA": ("#8a8a3c", "-"),
    "torch.nn": ("#b0457b", "-"),
    "OpenVINO on rnnport's graph": ("#4c9f9f", "-"),
    "BLAS products": ("#888888", "--"),
}


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update(
        {
            "font.size": 9,
            "axes.edgecolor": GRID,
            "axes.labelcolor": INK,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.facecolor": "white",
        }
    )
    return plt


def draw_ratios(rows: Sequence[Row], path: Path) -> None:
    """A panel a peer: how many times faster rnnport is, median and whole range by workload."""
    plt = _pyplot()
    found = groups(rows)
    peers = [name for name in RIVALS if any(row.ratio(name) is not None for row in rows)]
    columns = min(4, len(peers))
    lines = -(-len(peers) // columns)
    height = 0.27 * len(found) + 1.0
    figure, axes = plt.subplots(
        lines, columns, figsize=(3.1 * columns + 1.2, lines * height), sharey=True, squeeze=False
    )
    for place in axes.flat[len(peers) :]:
        place.set_visible(False)
    for axis, name in zip(axes.flat, peers, strict=False):
        _ratio_panel(axis, name, found)
    figure.suptitle(
        "rnnport is … times faster than the peer: median of a workload, the line spans its rows\n"
        "green: ahead on every row; yellow: at worst 10 % behind; red: further behind on some row"
    )
    _save(plt, figure, path)


def _ratio_panel(axis: Any, name: str, found: dict[str, list[Row]]) -> None:
    axis.set_title(name, fontsize=10, fontweight="bold")
    for place, rows in enumerate(found.values()):
        ratios = [ratio for row in rows if (ratio := row.ratio(name)) is not None]
        if not ratios:
            axis.text(1.05, place, "does not run it", va="center", fontsize=7, color="#999999")
            continue
        median = statistics.median(ratios)
        colour = AHEAD if min(ratios) >= 1 else LEVEL if min(ratios) >= 0.9 else BEHIND
        axis.barh(place, median - 1, left=1, height=0.62, color=colour, alpha=0.75)
        axis.plot([min(ratios), max(ratios)], [place, place], color=INK, linewidth=0.8)
        axis.text(max(*ratios, 1) * 1.15, place, _times(median), va="center", fontsize=8)
    axis.axvline(1, color=INK, linewidth=1)
    axis.set_xscale("log")
    low, high = axis.get_xlim()
    axis.set_xlim(min(low, 0.7), max(high * 3, 3))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_yticks(range(len(found)), list(found))
    axis.set_ylim(len(found) - 0.4, -0.6)
    axis.grid(axis="x", color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.3g}×"


def draw_floor(rows: Sequence[Row], path: Path) -> None:
    """A panel a layer: share of the BLAS rate at every size, batch and length, without masks."""
    import numpy as np

    plt = _pyplot()
    figure, axes = plt.subplots(len(KINDS), 1, figsize=(11, 2.3 * len(KINDS)), squeeze=False)
    columns = [(batch, time) for batch in BATCHES for time in TIMES]
    for axis, kind in zip(axes.flat, KINDS, strict=True):
        values = np.full((len(SIZES), len(columns)), np.nan)
        for row in of_grid(rows, kind=kind, mask="plain"):
            share = row.ratio("BLAS products")
            if share is not None:
                line = [units for _, units in SIZES].index(row.facts["units"])
                values[line, columns.index((row.facts["batch"], row.facts["time"]))] = share
        axis.imshow(values, cmap="YlGn", vmin=0, vmax=1.3, aspect="auto")
        for (line, column), value in np.ndenumerate(values):
            if value == value:
                ink = "white" if value > 0.9 else INK
                axis.text(
                    column, line, f"{value:.2f}", ha="center", va="center", fontsize=8, color=ink
                )
        axis.set_yticks(range(len(SIZES)), [f"{f}→{u}" for f, u in SIZES])
        axis.set_xticks(range(len(columns)), [f"{b}×{t}" for b, t in columns], fontsize=7)
        axis.set_title(f"{kind}: share of the rate of its matrix products alone, batch × time")
        axis.tick_params(length=0)
    _save(plt, figure, path)


def draw_growth(rows: Sequence[Row], path: Path) -> None:
    """Milliseconds over steps, batch, units and depth; the thin line is linear growth."""
    plt = _pyplot()
    figure, axes = plt.subplots(1, len(AXES), figsize=(3.1 * len(AXES), 3.6), squeeze=False)
    for place, axis in zip(axes.flat, AXES, strict=True):
        for name, (colour, style) in LINES.items():
            found = points(rows, axis, name)
            if len(found) > 1:
                xs, ys = zip(*((x, us / 1e3) for x, us in found), strict=True)
                width = 2.4 if name == OURS else 1.2
                place.plot(
                    xs, ys, style, color=colour, label=name, linewidth=width, marker="o", ms=3
                )
        place.set_xscale("log")
        place.set_yscale("log")
        place.set_xticks([x for x, _ in points(rows, axis, OURS)], minor=False)
        place.xaxis.set_major_formatter("{x:g}")
        place.yaxis.set_major_formatter("{x:g}")
        place.minorticks_off()
        place.set_xlabel(axis.name)
        place.set_title(axis.title, fontsize=8)
        place.grid(color=GRID, linewidth=0.5)
    axes.flat[0].set_ylabel("milliseconds")
    labels: dict[str, Any] = {}
    for place in axes.flat:
        for handle, label in zip(*place.get_legend_handles_labels(), strict=True):
            labels.setdefault(label, handle)
    if labels:
        figure.legend(
            labels.values(), labels.keys(), loc="upper center", ncols=len(labels), frameon=False
        )
    _save(plt, figure, path, top=0.9)


def _save(plt: Any, figure: Any, path: Path, top: float = 1.0) -> None:
    figure.tight_layout(rect=(0, 0, 1, top))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
