"""The picture of scripts/stream_transients: fluxes above, class probabilities over time below."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("Agg")

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from light_curves import BANDS, STEP_DAYS, LightCurve
from numpy.typing import NDArray
from rapid_model import CLASSES

__all__ = ["Streamed", "draw"]

# Okabe and Ito's colours, told apart with any kind of colour vision; yellow is too faint for lines.
BAND_STYLE = {"g": ("#009E73", "o"), "r": ("#D55E00", "s")}
CLASS_COLOUR = dict(
    zip(
        CLASSES,
        (
            "#777777",
            "#0072B2",
            "#D55E00",
            "#8C6D00",
            "#009E73",
            "#CC79A7",
            "#000000",
            "#56B4E9",
            "#7A4FA3",
        ),
        strict=True,
    )
)
NAMED = 0.12  # a class is named where its probability ends above this
BEFORE = 0  # the class named where its line begins: the others rise later
NAME_ENDS = 12  # the day by which that name is over
QUIET = "#BBBBBB"
GREY = "#666666"
LABEL_GAP = 0.062  # between the names of two lines, in probability
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
}


@dataclass(frozen=True)
class Streamed:
    """A light curve, what the model was fed, and what it said after every point.

    Attributes:
        curve: the observations.
        days: of the points.  # (T,)
        fluxes: (T, 2)
        probabilities: (T, 9)
    """

    curve: LightCurve
    days: NDArray[np.float64]
    fluxes: NDArray[np.float32]
    probabilities: NDArray[np.float32]

    @property
    def observed(self) -> int:
        """How many points there are up to the last with any flux; masked ones change nothing."""
        return int(np.flatnonzero(self.fluxes.any(axis=-1))[-1]) + 1


def draw(streams: Sequence[Streamed], path: Path, note: str) -> None:
    """Write the picture as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            2,
            len(streams),
            figsize=(5.2 * len(streams), 7.6),
            sharex="col",
            gridspec_kw={"height_ratios": [1, 1.25], "hspace": 0.1, "wspace": 0.46},
        )
        figure.subplots_adjust(left=0.05, right=0.925, top=0.84, bottom=0.145)
        for above, below, stream in zip(*axes, streams, strict=True):
            _draw_flux(above, stream)
            _draw_classes(below, stream)
        axes[0][0].set_ylabel("flux", color=GREY)
        axes[1][0].set_ylabel("class probability", color=GREY)
        heading = "Transients classified live, point by point"
        figure.text(0.05, 0.95, heading, size=17, weight="bold")
        figure.text(0.05, 0.02, note, size=10.5, color=GREY, linespacing=1.5)
        figure.savefig(path, dpi=130, facecolor="white")
        plt.close(figure)


def _draw_flux(axes: Any, stream: Streamed) -> None:
    curve, seen = stream.curve, stream.observed
    axes.set_title(curve.name, loc="left", size=13, weight="bold", pad=23)
    axes.text(0, 1.035, curve.origin, transform=axes.transAxes, size=10, color=GREY)
    shown = (curve.days >= stream.days[0]) & (curve.days <= stream.days[seen - 1])
    for index, band in enumerate(BANDS):
        colour, marker = BAND_STYLE[band]
        own = shown & (curve.band == band)
        axes.errorbar(
            curve.days[own],
            curve.flux[own],
            yerr=curve.error[own].clip(max=400),
            fmt=marker,
            color=colour,
            markersize=4.5,
            elinewidth=0.8,
            alpha=0.75,
        )
        axes.plot(stream.days[:seen], stream.fluxes[:seen, index], color=colour, linewidth=1.6)
        axes.text(
            0.02,
            0.94 - 0.1 * index,
            f"{band} band",
            color=colour,
            weight="bold",
            transform=axes.transAxes,
            va="top",
        )
    top = max(curve.flux[shown].max(), stream.fluxes.max())
    axes.set_ylim(-0.22 * top, 1.25 * top)
    axes.axhline(0, color=QUIET, linewidth=0.8, zorder=0)
    _mark_detection(axes)


def _draw_classes(axes: Any, stream: Streamed) -> None:
    seen = stream.observed
    days, probabilities = stream.days[:seen], stream.probabilities[:seen]
    named = [i for i in range(len(CLASSES)) if probabilities[-1, i] >= NAMED and i != BEFORE]
    for index, name in enumerate(CLASSES):
        own = index in named or index == BEFORE
        axes.stairs(
            probabilities[:, index],
            np.append(days, days[-1] + STEP_DAYS),
            baseline=None,
            color=CLASS_COLOUR[name] if own else QUIET,
            linewidth=2.2 if own else 0.9,
            zorder=3 if own else 2,
        )
    ends = _apart([float(probabilities[-1, index]) for index in named])
    for index, height in zip(named, ends, strict=True):
        axes.annotate(
            CLASSES[index],
            (days[-1] + STEP_DAYS, height),
            xytext=(6, 0),
            textcoords="offset points",
            color=CLASS_COLOUR[CLASSES[index]],
            weight="bold",
            va="center",
            annotation_clip=False,
        )
    axes.text(
        days[1],
        probabilities[days < NAME_ENDS, BEFORE].max() + 0.045,
        CLASSES[BEFORE],
        color=CLASS_COLOUR[CLASSES[BEFORE]],
        weight="bold",
        va="bottom",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )
    axes.set_ylim(0, 1.02)
    axes.set_xlim(days[0], days[-1] + STEP_DAYS)
    axes.set_xlabel("days since the first detection", color=GREY)
    _mark_detection(axes)


def _mark_detection(axes: Any) -> None:
    axes.axvline(0, color=GREY, linewidth=0.9, linestyle=(0, (2, 3)), zorder=1)


def _apart(heights: Sequence[float]) -> list[float]:
    """Heights for names that would overlap: pushed upwards, the order kept."""
    placed: list[float] = [0.0] * len(heights)
    floor = 0.012
    for index in sorted(range(len(heights)), key=lambda i: heights[i]):
        placed[index] = max(heights[index], floor)
        floor = placed[index] + LABEL_GAP
    return placed
