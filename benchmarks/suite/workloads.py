"""What is timed: models and workloads as data. The grid stands as issue 7 writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = [
    "BATCHES",
    "GATES",
    "KINDS",
    "MASKS",
    "SIZES",
    "TIMES",
    "Model",
    "Workload",
    "every_workload",
    "quick_workloads",
    "select",
]

KINDS = ("LSTM", "GRU", "SimpleRNN")
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
SIZES = ((16, 32), (64, 128), (128, 256), (256, 512))
BATCHES = (1, 8, 32, 128)
TIMES = (1, 20, 100, 500)
MASKS = ("plain", "left-padded", "random mask")
DEPTHS = (1, 2, 4, 8)

_REAL = ("sleepecg wrn-gru-mesa", "astrorapid", "dgaintel", "g2p-en")
_REAL_STEPS = {"sleepecg wrn-gru-mesa": 960, "astrorapid": 50, "dgaintel": 82, "g2p-en": 12}


@dataclass(frozen=True)
class Model:
    """One Keras model.

    Attributes:
        family: "grid", "bidirectional", "depth", "custom cell", "ConvLSTM2D", "greedy" or "real".
        kind: layer class, or the model's name.
        features: F; 0 where the family knows.
        units: U; 0 where the family knows.
        masked: whether a Masking layer stands in front.
        depth: recurrent layers on top of one another.
    """

    family: str
    kind: str
    features: int = 0
    units: int = 0
    masked: bool = False
    depth: int = 1

    @property
    def bidirectional(self) -> bool:
        """Whether each layer is a Bidirectional."""
        return self.family == "bidirectional"

    @property
    def title(self) -> str:
        """E.g. "BiLSTM 64→128 ×3"."""
        size = f" {self.features}→{self.units}" if self.units else ""
        deep = f" ×{self.depth}" if self.depth > 1 or self.family == "depth" else ""
        return f"{'Bi' if self.bidirectional else ''}{self.kind}{size}{deep}"

    @property
    def products(self) -> tuple[tuple[int, int, int], ...]:
        """Of each layer and direction (inputs, gates·units, units); empty where not so simple."""
        gates = GATES.get(self.kind, 1 if self.family == "custom cell" else 0)
        if not gates or not self.units:
            return ()
        ways = 2 if self.bidirectional else 1
        inputs = [self.features, *[ways * self.units] * (self.depth - 1)]
        return tuple((f, gates * self.units, self.units) for f in inputs for _ in range(ways))


@dataclass(frozen=True)
class Workload:
    """A model at one batch size B and length T; for "greedy" T is the steps generated."""

    model: Model
    batch: int
    time: int
    mask: str = "plain"

    @property
    def key(self) -> str:
        """E.g. "LSTM 64→128, 8×20, left-padded"; unlike for unlike workloads."""
        family = {"greedy": "greedy ", "real": "real "}.get(self.model.family, "")
        return f"{family}{self.model.title}, {self.batch}×{self.time}, {self.mask}"

    @property
    def flops(self) -> float:
        """Multiplications and additions of the matrix products; 0 where not so simple."""
        steps = 2.0 * self.batch * self.time
        return steps * sum((f + u) * wide for f, wide, u in self.model.products)


def every_workload() -> list[Workload]:
    """All of them; those of one model follow one another."""
    return [*_grid(), *_bidirectional(), *_depth(), *_others(), *_real()]


def _grid() -> Iterator[Workload]:
    for kind in KINDS:
        for features, units in SIZES:
            plain = Model("grid", kind, features, units)
            masked = Model("grid", kind, features, units, masked=True)
            shapes = [(batch, time) for time in TIMES for batch in BATCHES]
            yield from (Workload(plain, *shape) for shape in shapes)
            yield from (Workload(masked, *shape, mask) for shape in shapes for mask in MASKS[1:])


def _bidirectional() -> Iterator[Workload]:
    """Each of the three kinds, and three layers on top of one another."""
    shapes = [(1, 100), (8, 20), (32, 100), (128, 20)]
    for kind, depth in (*((kind, 1) for kind in KINDS), ("LSTM", 3)):
        for masked in (False, True):
            model = Model("bidirectional", kind, 64, 128, masked, depth)
            masks = MASKS[1:] if masked else MASKS[:1]
            yield from (Workload(model, *shape, mask) for shape in shapes for mask in masks)


def _depth() -> Iterator[Workload]:
    for depth in DEPTHS:
        model = Model("depth", "LSTM", 128, 128, depth=depth)
        yield from (Workload(model, batch, 100) for batch in (1, 32))


def _others() -> Iterator[Workload]:
    cell = Model("custom cell", "documented cell", 64, 128)
    yield from (Workload(cell, *shape) for shape in ((1, 1), (1, 100), (8, 100), (32, 100)))
    frames = Model("ConvLSTM2D", "ConvLSTM2D 8 filters 16×16×3")
    yield from (Workload(frames, batch, 6) for batch in (1, 8, 32))
    for kind in ("LSTM", "GRU with attention"):
        yield from (Workload(Model("greedy", kind), batch, 20) for batch in (1, 8, 32, 64))


def _real() -> Iterator[Workload]:
    for name in _REAL:
        yield from (Workload(Model("real", name), b, _REAL_STEPS[name]) for b in (1, 8, 32))


def quick_workloads() -> list[Workload]:
    """A few of each family, spread over shapes; none that must be fetched."""
    spread = {"plain": {(1, 1), (1, 100), (32, 20)}, "random mask": {(32, 20)}}
    bidirectional = {("LSTM", "plain"), ("GRU", "left-padded")}
    chosen = []
    for work in every_workload():
        model, shape = work.model, (work.batch, work.time)
        if (
            (model.family == "grid" and model.units == 128 and shape in spread.get(work.mask, ()))
            or (
                model.bidirectional
                and model.depth == 1
                and (model.kind, work.mask) in bidirectional
                and shape == (8, 20)
            )
            or (model.family == "depth" and model.depth == 2 and work.batch == 1)
            or (model.family in ("custom cell", "ConvLSTM2D") and work.batch == 8)
            or (model.family == "greedy" and model.kind == "LSTM" and work.batch == 1)
        ):
            chosen.append(work)
    return chosen


def select(workloads: Sequence[Workload], pattern: str) -> list[Workload]:
    """Those whose key the regular expression is found in; × may be written x and → as >."""
    wanted = re.compile(pattern.replace("->", "→").replace(">", "→"))
    return [w for w in workloads if wanted.search(w.key) or wanted.search(w.key.replace("×", "x"))]
