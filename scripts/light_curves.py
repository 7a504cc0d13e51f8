"""Light curves for scripts/stream_transients: one simulated, one real, one made up here.

Fluxes are in the units of the survey simulations that astrorapid was trained on, magnitude 27.5
being a flux of 1.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fetch import package_file
from numpy.typing import NDArray

__all__ = ["BANDS", "STEPS", "STEP_DAYS", "LightCurve", "light_curves", "on_grid"]

BANDS = ("g", "r")
DAYS = (-70.0, 80.0)  # since the trigger: what astrorapid looks at
STEPS = 50
STEP_DAYS = 3.0
ZERO_POINT = 27.5
DETECTED = 5.0  # times its error

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LightCurve:
    """One object's observations, ordered by time.

    Attributes:
        name: of the object.
        origin: what it is and where it comes from.
        days: since the trigger, the first certain detection.  # (N,)
        flux: (N,)
        error: of the flux.  # (N,)
        band: "g" or "r".  # (N,)
    """

    name: str
    origin: str
    days: Floats
    flux: Floats
    error: Floats
    band: NDArray[np.str_]


def light_curves() -> list[LightCurve]:
    """All three.

    Raises:
        Unavailable: a package cannot be downloaded.
    """
    return [_simulated(), _real(), _synthetic()]


def on_grid(curve: LightCurve) -> tuple[Floats, NDArray[np.float32]]:
    """What the model takes, as astrorapid's prepare_arrays.py makes it.

    Every third day from the first observation on, at most 50 of them; fluxes between observations
    of a band lie on straight lines, negative ones become 0, and so does what no observation
    surrounds. Nothing else is normalised. A step without flux in either band is masked. A live
    feed knows a point of the grid once the next observation is in.

    Returns:
        days (T,) and fluxes in g and r (T, 2).
    """
    ends = [curve.days[curve.band == band] for band in BANDS]
    first, last = min(day.min() for day in ends), max(day.max() for day in ends)
    grid = np.arange(first, last + STEP_DAYS, STEP_DAYS)
    if len(grid) > STEPS:
        grid = grid[grid >= DAYS[0]][:STEPS]
    fluxes = np.stack([_interpolated(curve, band, grid) for band in BANDS], axis=-1)
    return grid, fluxes.astype(np.float32)


def _interpolated(curve: LightCurve, band: str, grid: Floats) -> Floats:
    used = (curve.band == band) & (curve.days > DAYS[0]) & (curve.days < DAYS[1])
    flux = np.interp(grid, curve.days[used], curve.flux[used], left=0.0, right=0.0)
    return flux.clip(min=0.0)


def _curve(name: str, origin: str, columns: Sequence[Any], trigger: float | None) -> LightCurve:
    """Order observations by time, and count days from the trigger or the first detection."""
    order = np.argsort(np.asarray(columns[0]), kind="stable")
    date, flux, error, band = (np.asarray(column)[order] for column in columns)
    if trigger is None:
        trigger = date[flux > DETECTED * error][0]
    return LightCurve(name, origin, date - trigger, flux, error, band)


def _simulated() -> LightCurve:
    """The object of astrorapid's example.py, read from its text: nothing of it is run."""
    path = package_file(
        "astrorapid==0.2.17",
        "astrorapid/example.py",
        "d2ac8d29381538a6a6c9b66023ffe3bd258dc527cf812f822b9080739621ba19",
    )
    lists = _literals(path)
    trigger = lists["mjd"][lists["photflag"].index(6144)]
    columns = [lists[name] for name in ("mjd", "flux", "fluxerr", "passband")]
    return _curve("type Ia supernova", "simulated for ZTF, astrorapid's example", columns, trigger)


def _literals(path: Path) -> dict[str, Any]:
    """Lists and numbers that a Python file assigns to names, by name."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


def _real() -> LightCurve:
    """SN 2010bc as Pan-STARRS1 saw it, from magnitudes that the extrabol package ships."""
    path = package_file(
        "extrabol==1.2.1",
        "extrabol/example/SN2010bc.snana.dat",
        "d9d1ff7934ba303d299182a03f5c888610da0b693e05b4959ead9ed5d31c9ad0",
    )
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [line for line in lines if line[:1] == ["OBS:"] and line[2][-2:] in (".g", ".r")]
    date, magnitude, error = (np.array([float(row[i]) for row in rows]) for i in (1, 3, 4))
    flux = 10 ** (0.4 * (ZERO_POINT - magnitude))
    columns = [date, flux, flux * error * np.log(10) / 2.5, [row[2][-1] for row in rows]]
    return _curve("SN 2010bc", "real, observed by Pan-STARRS1, from extrabol", columns, None)


def _synthetic() -> LightCurve:
    """Made up: a reddish supernova that fades fast, nights missing, with a survey's noise."""
    rng = np.random.default_rng(2)
    columns: list[list[Any]] = [[], [], [], []]
    for band, peak, rise, fall in (("g", 350.0, 3.0, 9.0), ("r", 800.0, 3.5, 16.0)):
        days = np.cumsum(np.r_[rng.uniform(-45, -42), rng.choice([3, 3, 3, 6, 9], 60)])
        days = days[days < DAYS[1]] + rng.normal(0, 0.05, (days < DAYS[1]).sum())
        shape = np.exp(-(days - 5).clip(min=0) / fall) / (1 + np.exp(-(days - 5) / rise))
        error = 35.0 * rng.uniform(0.8, 1.8, len(days))
        flux = peak * shape + error * rng.standard_normal(len(days))
        for column, values in zip(columns, (days, flux, error, [band] * len(days)), strict=True):
            column.extend(values)
    return _curve("like type Ib/c", "synthetic, made up by this script", columns, None)
