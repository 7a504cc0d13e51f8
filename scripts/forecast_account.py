"""The blocks that scripts/train_forecast prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from printing import duration, facts, mark
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rnnport.artifact.load import Artifact
    from rnnport.parity.report import ParityReport

__all__ = ["Figure", "Miss", "Speed", "about", "note", "pace", "quality", "sameness"]


@dataclass(frozen=True)
class Figure:
    """One comparison of forecasts, scaled: the largest difference, and what it may be."""

    what: str
    error: float
    bound: float

    @property
    def good(self) -> bool:
        """Whether it is within its bound; not so for NaN."""
        return self.error <= self.bound


@dataclass(frozen=True)
class Miss:
    """How far guesses are from the truth, on average: in megawatts, and as a share of it."""

    who: str
    megawatts: float
    share: float


@dataclass(frozen=True)
class Speed:
    """Seconds a forecast takes: alone, and as one of many."""

    who: str
    alone: float
    together: float


def about(model: Any, artifact: Artifact, report: ParityReport, windows: int, took: float) -> Table:
    grid, forms = facts(), artifact.manifest.forms
    decoder = forms["decoder"]
    states = ", ".join(state.start for state in decoder.states)
    failed = sum(not check.passed for check in report.checks)
    verified = f"{len(report.checks)} checks passed, the hand-off among them"
    if failed:
        verified = f"{failed} of {len(report.checks)} checks failed"
    grid.add_row("data", "electricity demand of England and Wales, from pmdarima, MIT")
    grid.add_row("is", f"GRU → GRU with attention, {model.count_params():,} weights")
    grid.add_row("trained", f"in {took:.0f} s on {windows:,} windows: two days back, one ahead")
    grid.add_row("handed over", f"state {states}; context {', '.join(decoder.fixed)}")
    grid.add_row("verified", Text(verified, "red" if failed else "green"))
    return grid


def sameness(figures: Sequence[Figure]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for figure in figures:
        error = Text.assemble((f"{figure.error:.1e}", "bold"), (f" of {figure.bound:.0e}", "dim"))
        grid.add_row(mark(figure.good), figure.what, error)
    return grid


def quality(misses: Sequence[Miss]) -> Table:
    """Mean absolute errors, the forecast's first."""
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    grid.add_column("", style="dim", no_wrap=True)
    grid.add_column("on average", justify="right", no_wrap=True)
    grid.add_column("of demand", justify="right", no_wrap=True)
    for i, miss in enumerate(misses):
        style = "" if i else "bold green"
        cells = [f"{miss.megawatts:,.0f} MW", f"{miss.share:.2%}"]
        grid.add_row(miss.who, *(Text(cell, style) for cell in cells))
    return grid


def pace(speeds: Sequence[Speed], many: int) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    grid.add_column("", style="dim", no_wrap=True)
    for name in ("alone", "", f"one of {many}", ""):
        grid.add_column(name, justify="right", no_wrap=True)
    ours = speeds[0]
    for speed in speeds:
        style, cells = "bold green" if speed is ours else "", []
        for seconds, best in ((speed.alone, ours.alone), (speed.together, ours.together)):
            times = "" if speed is ours else f"{seconds / best:,.0f}×"
            cells += [Text(duration(seconds), style), Text(times, "dim")]
        grid.add_row(speed.who, *cells)
    return grid


def note(misses: Sequence[Miss], figures: Sequence[Figure]) -> str:
    """What stands below the picture."""
    ours, week = misses[:2]
    return (
        f"Off by {ours.share:.2%} on average over all forecasts held out; last week's demand, "
        f"repeated, by {week.share:.2%}.\n"
        "The decoder is fed its own forecast at every step; onnxruntime and a Keras loop are apart "
        f"by at most {figures[0].error:.0e}, scaled."
    )
