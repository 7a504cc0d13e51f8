"""How time grows with steps, batch, units and depth, out of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suite.verdicts import Row

__all__ = ["AXES", "Axis", "points"]


@dataclass(frozen=True)
class Axis:
    """One direction of growth.

    Attributes:
        name: the fact that grows.
        title: what stays the same.
        fixed: facts of the rows.
    """

    name: str
    title: str
    fixed: dict[str, object]


AXES = (
    Axis("time", "LSTM 64→128, batch 8", {"title": "LSTM 64→128", "batch": 8}),
    Axis("batch", "LSTM 64→128, 100 steps", {"title": "LSTM 64→128", "time": 100}),
    Axis("units", "LSTM, batch 8, 100 steps", {"kind": "LSTM", "batch": 8, "time": 100}),
    Axis("depth", "LSTM 128→128, batch 32, 100 steps", {"family": "depth", "batch": 32}),
)


def points(rows: Sequence[Row], axis: Axis, contender: str) -> list[tuple[float, float]]:
    """(size, microseconds) of a contender, sizes rising."""
    fixed = {"family": "grid", "mask": "plain", **axis.fixed}
    chosen = [row for row in rows if all(row.facts[k] == v for k, v in fixed.items())]
    found = [(float(row.facts[axis.name]), row.us(contender)) for row in chosen]
    return sorted((size, us) for size, us in found if us is not None)
