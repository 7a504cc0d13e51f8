"""Figures out of the results: ratios, aims, distance to the floor, growth."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suite.peers.registry import ON_OUR_GRAPH, OURS, PORTABLE, STRANGERS
from suite.store import Results

__all__ = [
    "Aim",
    "Row",
    "aims",
    "behind",
    "exponent",
    "finished",
    "groups",
    "lost",
    "of_grid",
    "share_ahead",
]


@dataclass(frozen=True)
class Row:
    """One measured workload.

    Attributes:
        key: its name.
        facts: its record.
    """

    key: str
    facts: Mapping[str, Any]

    def us(self, name: str) -> float | None:
        """A contender's median in microseconds; None where it did not take part."""
        taken = self.facts["us"].get(name)
        return None if taken is None else float(taken[0])

    def ratio(self, name: str) -> float | None:
        """How many times faster rnnport is."""
        theirs, ours = self.us(name), self.us(OURS)
        return None if theirs is None or ours is None else theirs / ours

    @property
    def ratios(self) -> dict[str, float]:
        """Of every peer that took part; rnnport's own graph on another runtime is none."""
        found = {name: self.ratio(name) for name in STRANGERS}
        return {name: ratio for name, ratio in found.items() if ratio is not None}

    @property
    def closest(self) -> tuple[str, float]:
        """The fastest peer and the ratio to it."""
        return min(self.ratios.items(), key=lambda item: item[1])

    @property
    def behind(self) -> bool:
        """Whether a peer is faster."""
        return bool(self.ratios) and self.closest[1] < 1

    @property
    def on_openvino(self) -> float | None:
        """How many times faster rnnport is on onnxruntime than with its graph on OpenVINO."""
        return self.ratio(ON_OUR_GRAPH)

    @property
    def even(self) -> bool:
        """Behind, but by no more than calls of both differ: the quartiles overlap."""
        name, ratio = self.closest
        return ratio < 1 and self.facts["us"][name][2] >= self.facts["us"][OURS][1]

    @property
    def masked(self) -> bool:
        """Whether steps are masked."""
        return bool(self.facts["mask"] != "plain")


@dataclass(frozen=True)
class Aim:
    """One thing issue 7 asks for.

    Attributes:
        what: in words.
        wanted: in words.
        value: what was measured; None where no row says.
        met: the verdict.
        note: how the value is formed, or beside it.
    """

    what: str
    wanted: str
    value: float | None
    met: bool
    note: str = ""


def finished(results: Results) -> list[Row]:
    """Rows that have figures."""
    return [Row(key, facts) for key, facts in results.rows.items() if "failed" not in facts]


def lost(results: Results) -> dict[str, str]:
    """Rows on which rnnport failed, and why."""
    return {key: f["failed"] for key, f in results.rows.items() if "failed" in f}


def of_grid(rows: Iterable[Row], **wanted: Any) -> list[Row]:
    """Grid rows with these facts, e.g. kind="LSTM", batch=1."""
    chosen = {"family": "grid", **wanted}
    return [row for row in rows if all(row.facts[k] == v for k, v in chosen.items())]


def behind(rows: Iterable[Row]) -> list[Row]:
    """Rows on which a peer is faster, the worst first."""
    found = [row for row in rows if row.behind]
    return sorted(found, key=lambda row: row.closest[1])


def share_ahead(rows: Sequence[Row], failed: int = 0) -> float | None:
    """Share of rows on which no peer is faster; a failed row is not ahead."""
    if not rows:
        return None
    return 1 - (len(behind(rows)) + failed) / (len(rows) + failed)


def aims(results: Results) -> list[Aim]:
    """What issue 7 asks for on the CPU."""
    rows = finished(results)
    unlike = [r for r in of_grid(rows) if r.masked or r.facts["kind"] != "LSTM"]
    first = [r for r in unlike if r.facts["batch"] == 1]
    single = [r for r in rows if r.facts["batch"] == 1]
    longer = [r for r in rows if r.facts["time"] > 1]
    blas = of_grid(rows, title="LSTM 128→256", batch=32, mask="plain")
    return [
        _least(
            "rows ahead of every peer",
            0.95,
            share_ahead(rows, len(lost(results))),
            _behind_in_words(rows),
            percent=True,
        ),
        _least(
            "worst row against any peer",
            0.9,
            _worst(r.closest[1] for r in rows if r.ratios),
            _far_behind_in_words(rows),
        ),
        _median_aim("tf2onnx, masked, GRU and SimpleRNN rows", 2, unlike, "tf2onnx"),
        _median_aim("tf2onnx, the same at batch 1", 8, first, "tf2onnx", _bare_products(first)),
        _median_aim("tf.function, all rows at batch 1", 5, single, "tf.function"),
        _least(
            "share of the BLAS rate, LSTM 128→256 at batch 32",
            0.75,
            _worst(share for r in blas if (share := r.ratio("BLAS products")) is not None),
            "the lowest over all lengths",
        ),
        _least(
            'target="portable" over target="cpu"',
            0.97,
            _worst(share for r in longer if (share := r.ratio(PORTABLE)) is not None),
            "the lowest over all rows of more than one step, which cpu is tuned for",
        ),
    ]


def _behind_in_words(rows: Sequence[Row]) -> str:
    """What the rest is, and the share with rnnport's other runtime as one more peer."""
    late = behind(rows)
    even = sum(row.even for row in late)
    both = sum(row.behind or (row.on_openvino or 1) < 1 for row in rows)
    told = f"of all rows; of the {len(late)} behind, {even} are even (the quartiles overlap)"
    return f"{told}; with {ON_OUR_GRAPH} as one more peer {1 - both / max(1, len(rows)):.1%}"


def _far_behind_in_words(rows: Sequence[Row]) -> str:
    far = sum(row.closest[1] < 0.9 for row in rows if row.ratios)
    return f"rows more than 10 % behind: {far} of {len(rows)}"


def _bare_products(rows: Sequence[Row]) -> str:
    """What those would reach who did nothing but a layer's products, at NumPy's rate."""
    found = [
        theirs / floor
        for row in rows
        if (theirs := row.us("tf2onnx")) is not None and (floor := row.us("BLAS products"))
    ]
    return f"; the products alone in NumPy: {statistics.median(found):.2f}×" if found else ""


def _median_aim(what: str, wanted: float, rows: Sequence[Row], name: str, more: str = "") -> Aim:
    found = [ratio for row in rows if (ratio := row.ratio(name)) is not None]
    note = f"median of {len(found)}, lowest {min(found):.2f}×{more}" if found else ""
    return _least(what, wanted, statistics.median(found) if found else None, note)


def _least(
    what: str, wanted: float, value: float | None, note: str = "", *, percent: bool = False
) -> Aim:
    text = f"at least {wanted:.0%}" if percent else f"at least {wanted:g}"
    return Aim(what, text, value, value is not None and value >= wanted, note)


def _worst(values: Iterable[float]) -> float | None:
    return min(values, default=None)


def groups(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by what a reader looks for: "LSTM plain", "GRU masked", … "real models"."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(_group(row), []).append(row)
    return found


def _group(row: Row) -> str:
    family, kind = row.facts["family"], row.facts["kind"]
    if family == "grid":
        return f"{kind} {'masked' if row.masked else 'plain'}"
    names = {"real": "published models", "depth": "LSTM stacks", "greedy": "greedy decoding"}
    return str(names.get(family, family))


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """The steepest slope between neighbours on logarithmic axes, from the second point on.

    1 is linear. The first step holds the cost of a call itself and is left out.

    Args:
        points: (size, time), sizes rising.
    """
    slopes = [
        math.log(b[1] / a[1]) / math.log(b[0] / a[0]) for a, b in itertools.pairwise(points[1:])
    ]
    return max(slopes, default=None)
