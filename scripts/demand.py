"""Electricity demand of England and Wales in the summer of 2000, cut into forecasting windows.

Half-hourly means in megawatts, twelve weeks from Monday, 5 June 2000; they came with Taylor's paper
on double seasonal smoothing (2003), and pmdarima, MIT, ships them. Used here hour by hour. Axis
letters: N hours, B windows, S hours a forecast looks back, T hours it looks ahead, F features.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fetch import package_file
from numpy.typing import NDArray

__all__ = ["AHEAD", "BACK", "DAY", "WEEK", "Demand", "Windows", "demand_file", "read_demand"]

DAY, WEEK = 24, 7 * 24
BACK, AHEAD = 2 * DAY, DAY
HELD_OUT = 2 * WEEK

Array = NDArray[Any]


@dataclass(frozen=True)
class Windows:
    """Pasts and what followed, scaled.

    Attributes:
        first: the hour each forecast begins with.  # (B,)
        past: demand and calendar.  # (B, S, F)
        future: what the decoder is fed: demand an hour before, calendar.  # (B, T, F)
        wanted: demand.  # (B, T, 1)
    """

    first: Array
    past: Array
    future: Array
    wanted: Array

    def follow(self, output: Array, step: int) -> Array:
        """The next input (B, F) after an output (B, 1): beside it, the calendar, which is known."""
        return np.concatenate([output, self.future[:, step + 1, 1:]], axis=-1)

    def head(self, count: int) -> Windows:
        """The first few."""
        return Windows(*(a[:count] for a in (self.first, self.past, self.future, self.wanted)))


@dataclass(frozen=True)
class Demand:
    """Hours from a Monday's midnight on, the last ones held out.

    Attributes:
        hours: megawatts.  # (N,)
        held_out: how many hours no training window touches.
    """

    hours: Array
    held_out: int = HELD_OUT

    @property
    def split(self) -> int:
        """The first hour held out."""
        return len(self.hours) - self.held_out

    def training(self, back: int = BACK, ahead: int = AHEAD) -> Windows:
        """Every window that ends before the split."""
        return self._windows(np.arange(back, self.split - ahead + 1), back, ahead)

    def testing(self, back: int = BACK, ahead: int = AHEAD) -> Windows:
        """Every window that forecasts hours held out, and those only."""
        return self._windows(np.arange(self.split, len(self.hours) - ahead + 1), back, ahead)

    def megawatts(self, scaled: Array) -> Array:
        """Scaled values (…, 1) in megawatts (…)."""
        mean, deviation = self._scale()
        return scaled[..., 0].astype(float) * deviation + mean

    def later(self, first: Array, ahead: int, lag: int) -> Array:
        """Demand (B, T) in the hours from each `first` on, as it was `lag` hours earlier."""
        return self.hours[first[:, None] + np.arange(ahead) - lag]

    def _scale(self) -> tuple[float, float]:
        """From the training hours alone."""
        known = self.hours[: self.split]
        return float(known.mean()), float(known.std())

    def _windows(self, first: Array, back: int, ahead: int) -> Windows:
        mean, deviation = self._scale()
        demand = ((self.hours - mean) / deviation).astype(np.float32)[:, None]
        calendar = _calendar(len(self.hours))
        past, future = np.arange(-back, 0), np.arange(ahead)
        before, after = first[:, None] + past, first[:, None] + future
        return Windows(
            first,
            np.concatenate([demand[before], calendar[before]], axis=-1),
            np.concatenate([demand[after - 1], calendar[after]], axis=-1),
            demand[after],
        )


def _calendar(hours: int) -> Array:
    """Hour of the day as a point on a circle, Saturday, Sunday: (N, 4)."""
    hour = np.arange(hours)
    angle, day = 2 * np.pi * hour / DAY, hour // DAY % 7
    columns = [np.sin(angle), np.cos(angle), day == 5, day == 6]
    return np.stack(columns, axis=-1).astype(np.float32)


def demand_file() -> Path:
    """The module that holds the numbers.

    Raises:
        Unavailable: the package cannot be downloaded.
    """
    return package_file(
        "pmdarima==2.1.1",
        "pmdarima/datasets/taylor.py",
        "3df2f44f654bfe4338ea39350912140c9710fa776270f50a2529b2f5c87a4e19",
    )


def read_demand(path: Path) -> Demand:
    """The longest list that the module's text writes down, two half hours to one; nothing is run.

    Raises:
        ValueError: no list of numbers in it.
    """
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    lists = [node.elts for node in nodes if isinstance(node, ast.List)]
    if not lists:
        raise ValueError(f"{path.name} holds no list")
    halves = np.array([ast.literal_eval(item) for item in max(lists, key=len)], float)
    return Demand(halves.reshape(-1, 2).mean(axis=1))
