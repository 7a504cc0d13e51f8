"""Artifacts to tune, and races that are decided beforehand, so that every candidate gets to win."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

import rnnport
from rnnport.tuning.report import TuneReport
from rnnport.tuning.search import tune

Wins = Callable[[str], bool]
Calls = Mapping[str, Callable[[], Any]]

layers = keras.layers
LAYERS: dict[str, Callable[[], list[Any]]] = {
    "gru": lambda: [
        layers.GRU(5, return_sequences=True, name="gru"),
        layers.GRU(4, name="second"),
    ],
    "simple": lambda: [
        layers.SimpleRNN(5, return_sequences=True, name="simple_rnn"),
        layers.Dense(2),
    ],
    "dense": lambda: [layers.Dense(3)],
    "short": lambda: [layers.Conv1D(4, 5), layers.GRU(4)],
    "fixed": lambda: [layers.GRU(4, return_sequences=True), layers.Flatten(), layers.Dense(2)],
}
FIXED_TIME = 5


def _side() -> keras.Model:
    """An input without steps comes first."""
    side, x = keras.Input((4,), name="side"), keras.Input((None, 3), name="x")
    return keras.Model([side, x], layers.Concatenate()([layers.GRU(4)(x), side]))


MODELS: dict[str, Callable[[], keras.Model]] = {"side": _side}


def export(name: str, folder: Path, seed: int = 3) -> Path:
    """A model of LAYERS, its batch open; "fixed" takes FIXED_TIME steps."""
    keras.utils.set_random_seed(seed)
    if name in MODELS:
        model = MODELS[name]()
    else:
        time = FIXED_TIME if name == "fixed" else None
        model = keras.Sequential([keras.Input((time, 3), name="x"), *LAYERS[name]()], name=name)
    return rnnport.export(model, folder, target="cpu").path


def decided(wins: Wins) -> Any:
    """A race in which names that win take half the time of others; every call is made once."""

    def run(calls: Calls, seconds: float) -> dict[str, float]:
        for call in calls.values():
            call()
        return {name: 1e-4 if wins(name) else 2e-4 for name in calls}

    return run


def then_wins(name: str) -> bool:
    """The other operator, always."""
    return name.startswith("then")


def layout_wins(layout: str) -> Wins:
    """One layout, always."""
    return lambda name: name in (layout, "after")


def nothing_wins(name: str) -> bool:
    """All take the same."""
    return True


def never(calls: Calls, seconds: float) -> dict[str, float]:
    """A race that must not take place."""
    raise AssertionError(f"raced {sorted(calls)}")


def quick(folder: Path, race: Any, **options: Any) -> TuneReport:
    """Tune for one size on two threads."""
    return tune(folder, **{"batch": [8], "time": [20], "threads": 2, **options}, race=race)


def outputs(folder: Path, *shape: int, threads: int = 2) -> Any:
    """Of a run on seeded inputs."""
    x = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    return rnnport.load(folder, provider="cpu", threads=threads).run(x)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """All files."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def counts(folder: Path, form: str = "model") -> dict[str, int]:
    """Operators of a graph."""
    return rnnport.open(folder).manifest.forms[form].op_counts
