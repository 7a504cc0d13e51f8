"""The picture of scripts/train_forecast: a week of forecasts; the best, the middle, the worst."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("Agg")

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from demand import DAY, WEEK, Demand
from numpy.typing import NDArray

__all__ = ["draw", "picked"]

START = datetime(2000, 6, 5)  # the first hour
GREY, QUIET, OURS, LAST_WEEK = "#666666", "#BBBBBB", "#0072B2", "#D55E00"
TRUTH = "#B2B2B2"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
}

Array = NDArray[Any]


def draw(demand: Demand, first: Array, forecasts: Array, path: Path, note: str) -> None:
    """Write the picture as a PNG.

    Args:
        demand: the truth, and what was before it.
        first: the hour each forecast begins with.  # (B,)
        forecasts: megawatts.  # (B, T)
        path: where to.
        note: what to say below.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure = plt.figure(figsize=(13.6, 8.2))
        grid = figure.add_gridspec(2, 3, height_ratios=[1.15, 1], hspace=0.5, wspace=0.2)
        figure.subplots_adjust(left=0.06, right=0.975, top=0.87, bottom=0.145)
        _draw_week(figure.add_subplot(grid[0, :]), demand, first, forecasts)
        for column, (name, index) in enumerate(picked(demand, first, forecasts)):
            axes = figure.add_subplot(grid[1, column])
            _draw_one(axes, demand, int(first[index]), forecasts[index], name)
        heading = "Tomorrow's electricity demand, forecast hour by hour"
        figure.text(0.06, 0.95, heading, size=17, weight="bold")
        figure.text(0.06, 0.025, note, size=10.5, color=GREY, linespacing=1.5)
        figure.savefig(path, dpi=110, facecolor="white")
        plt.close(figure)


def picked(demand: Demand, first: Array, forecasts: Array) -> list[tuple[str, int]]:
    """The best forecast, the one in the middle and the worst, by mean absolute error."""
    truth = demand.later(first, forecasts.shape[1], 0)
    order = np.abs(forecasts - truth).mean(axis=1).argsort(kind="stable")
    places = {"the best": 0, "in the middle": len(order) // 2, "the worst": len(order) - 1}
    return [(name, int(order[place])) for name, place in places.items()]


def _draw_week(axes: Any, demand: Demand, first: Array, forecasts: Array) -> None:
    """The last seven forecasts that begin at midnight, one after the other."""
    midnights = np.flatnonzero(first % DAY == 0)[-7:]
    ahead = forecasts.shape[1]
    hours = np.arange(first[midnights[0]], first[midnights[-1]] + ahead)
    axes.plot(_dates(hours), demand.hours[hours - WEEK] / 1e3, color=LAST_WEEK, lw=1, alpha=0.75)
    axes.plot(_dates(hours), demand.hours[hours] / 1e3, color=TRUTH, lw=3.6)
    for index in midnights:
        own = first[index] + np.arange(ahead)
        axes.plot(_dates(own), forecasts[index] / 1e3, color=OURS, lw=1.9)
        axes.axvline(_dates(own)[0], color=QUIET, lw=0.9, linestyle=(0, (2, 3)), zorder=1)
    axes.set_title(
        "A week held out: at every midnight, the day ahead", loc="left", size=13, weight="bold"
    )
    axes.set_ylabel("GW", color=GREY)
    axes.margins(x=0.005)
    noons = hours[hours % DAY == DAY // 2]
    axes.set_xticks(_dates(noons), [f"{date:%a} {date.day} {date:%b}" for date in _dates(noons)])
    axes.tick_params(axis="x", length=0)
    names = {"demand": GREY, "forecast": OURS, "a week before": LAST_WEEK}
    for place, (name, colour) in zip((0.735, 0.81, 0.885), names.items(), strict=True):
        axes.text(place, 1.04, name, color=colour, weight="bold", transform=axes.transAxes)


def _draw_one(axes: Any, demand: Demand, first: int, forecast: Array, name: str) -> None:
    ahead = len(forecast)
    before, own = np.arange(first - DAY, first + 1), np.arange(first, first + ahead)
    shown = np.arange(first - DAY, first + ahead)
    axes.plot(_dates(own), demand.hours[own - WEEK] / 1e3, color=LAST_WEEK, lw=1, alpha=0.75)
    axes.plot(_dates(shown), demand.hours[shown] / 1e3, color=TRUTH, lw=3.6)
    joined = np.append(demand.hours[before[-2:-1]], forecast)
    axes.plot(_dates(np.arange(first - 1, first + ahead)), joined / 1e3, color=OURS, lw=1.9)
    axes.axvline(_dates(own - 1)[0], color=QUIET, lw=0.9, linestyle=(0, (2, 3)), zorder=1)
    error = np.abs(forecast - demand.hours[own]).mean()
    axes.set_title(name[:1].upper() + name[1:], loc="left", size=12, weight="bold", pad=20)
    date = _dates(own)[0]
    origin = f"from {date:%a} {date.day} {date:%b}, {date:%H:%M}; off by {error:,.0f} MW"
    axes.text(0, 1.035, origin, transform=axes.transAxes, size=10, color=GREY)
    axes.set_ylabel("GW", color=GREY)
    axes.margins(x=0.01)
    ticks = shown[shown % (DAY // 2) == 0]
    axes.set_xticks(_dates(ticks), [_hour(date) for date in _dates(ticks)])


def _hour(date: datetime) -> str:
    return f"{date:%H:%M}" if date.hour else f"{date:%a}"


def _dates(hours: Array) -> list[datetime]:
    return [START + timedelta(hours=int(hour)) for hour in hours]
