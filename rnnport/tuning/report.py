"""What tuning tried and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rnnport.spec import Tuned

__all__ = ["Kept", "Size", "Switched", "Trial", "TuneReport"]


@dataclass(frozen=True)
class Size:
    """B and T of a measurement; T is 1 where no axis is a time."""

    batch: int
    time: int


@dataclass(frozen=True)
class Trial:
    """One candidate at one size.

    Attributes:
        form: "model" or "stream".
        candidate: a layout, or what a layer became.
        us: median of a run in microseconds.
    """

    form: str
    size: Size
    candidate: str
    us: float


@dataclass(frozen=True)
class Switched:
    """A layer that was tried on another operator.

    Attributes:
        form: "model" or "stream".
        layer: its name.
        now: the operator before.
        then: the other one.
        gain: how many times as fast: the geometric mean over all sizes, the lower of two races.
    """

    form: str
    layer: str
    now: str
    then: str
    gain: float


@dataclass(frozen=True)
class Kept:
    """What a size has come to.

    Attributes:
        layout: the one that is used now.
        before_us: median of a run as the artifact was.
        after_us: as it is now.
        tried: the median of every layout in the race of all, in microseconds.
    """

    size: Size
    layout: str
    before_us: float
    after_us: float
    tried: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TuneReport:
    """A tuning.

    Attributes:
        threads: there were to use.
        trials: everything measured, in order.
        switched: layers that run on another operator now.
        stayed: layers whose other operator was no faster at all sizes.
        tuned: layouts as written to the manifest; none where all are as they were.
        kept: for each size.
        notes: what was not tried, and why.
    """

    threads: int
    trials: list[Trial] = field(default_factory=list)
    switched: list[Switched] = field(default_factory=list)
    stayed: list[Switched] = field(default_factory=list)
    tuned: list[Tuned] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return bool(self.switched or self.tuned)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        tuned = [{f: getattr(point, f) for f in point.__struct_fields__} for point in self.tuned]
        return {**asdict(self), "tuned": tuned, "changed": self.changed}
