"""Masks given by hand, of every shape, against Keras."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra import numpy as arrays

import rnnport
from tests.tiny_keras import assert_same, bits, lively, ops

L = keras.layers
FEATURES, UNITS = 2, 3


@dataclass(frozen=True)
class Config:
    kind: str
    target: str
    initial: bool
    backwards: bool

    def __str__(self) -> str:
        words = [self.kind, self.target]
        words += ["initial"] * self.initial + ["backwards"] * self.backwards
        return "-".join(words)


CONFIGS = [
    Config(*values)
    for values in itertools.product(
        ("LSTM", "GRU", "SimpleRNN"), ("portable", "cpu"), *[(False, True)] * 2
    )
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[Config, tuple[Any, Any]]:
    """Every configuration, exported once: the Keras model and the Runner.

    Each holds two layers, one that returns sequences and one that returns its last output.
    """
    folder = tmp_path_factory.mktemp("masks")
    return {config: _build(config, folder / str(config)) for config in CONFIGS}


def _build(config: Config, folder: Path) -> tuple[Any, Any]:
    x = keras.Input((None, FEATURES), name="x")
    mask = keras.Input((None,), dtype="bool", name="mask")
    count = 2 if config.kind == "LSTM" else 1
    states = [keras.Input((UNITS,), name=f"s{i}") for i in range(count)] if config.initial else []
    y = []
    for sequences in (True, False):
        layer = getattr(L, config.kind)(
            UNITS,
            return_sequences=sequences,
            return_state=True,
            go_backwards=config.backwards,
        )
        y.append(list(layer(x, mask=mask, initial_state=states or None)))
    model = lively(keras.Model([x, mask, *states], y))
    artifact = rnnport.export(model, folder, target=config.target)
    assert "Loop" not in ops(artifact)
    scanned = (config.kind, config.target) == ("SimpleRNN", "cpu")
    assert ops(artifact)["Scan"] == 2 * scanned
    return model, rnnport.load(artifact, threads=1)


MASKS = arrays.arrays(
    bool, st.tuples(st.integers(1, 4), st.integers(1, 8)), elements=st.booleans(), fill=st.nothing()
)


@st.composite
def masks(draw: Any) -> Any:
    """Any mask, or one of lengths, padded on the right or on the left; often an empty row."""
    kind = draw(st.sampled_from(["any", "right", "left"]))
    mask = draw(MASKS)
    if kind != "any":
        time = mask.shape[1]
        lengths = [draw(st.integers(0, time)) for _ in mask]
        mask = np.arange(time)[None, :] < np.array(lengths)[:, None]
        mask = mask if kind == "right" else mask[:, ::-1].copy()
    if draw(st.booleans()):
        mask[draw(st.integers(0, len(mask) - 1))] = False
    return mask


def _inputs(config: Config, mask: Any, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    batch, time = mask.shape
    x = rng.standard_normal((batch, time, FEATURES)).astype("float32")
    count = (2 if config.kind == "LSTM" else 1) if config.initial else 0
    states = [rng.standard_normal((batch, UNITS)).astype("float32") for _ in range(count)]
    return [x, mask, *states]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@given(mask=masks(), seed=st.integers(0, 2**31 - 1))
@settings(
    max_examples=10,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_mask(
    built: dict[Config, tuple[Any, Any]], config: Config, mask: Any, seed: int
) -> None:
    model, runner = built[config]
    x, *rest = _inputs(config, mask, seed)
    received = runner.run(x, *rest)
    assert_same(model([x, *rest]), received)

    states, empty = rest[1:], ~mask.any(1)
    for outputs, *finals in received:
        for n, final in enumerate(finals):
            start = states[n] if states else np.zeros_like(final)
            assert np.array_equal(final[empty], start[empty])
        assert not np.any(outputs[empty])

    zeroed = np.where(mask[:, :, None], x, 0.0).astype("float32")
    poisoned = np.where(mask[:, :, None], x, np.nan).astype("float32")
    clean = runner.run(zeroed, *rest)
    assert all(np.isfinite(a).all() for a in keras.tree.flatten(clean))
    assert bits(runner.run(poisoned, *rest)) == bits(clean)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_steps_behind_the_mask_change_nothing(
    built: dict[Config, tuple[Any, Any]], kind: str
) -> None:
    """Rows of unequal length in one batch give what each gives alone."""
    for target in ("portable", "cpu"):
        _, runner = built[Config(kind, target, initial=False, backwards=False)]
        x = np.random.default_rng(3).standard_normal((4, 7, FEATURES)).astype("float32")
        lengths = [1, 4, 7, 2]
        mask = np.arange(7)[None, :] < np.array(lengths)[:, None]
        (y, *finals), _ = runner.run(x, mask)
        for row, length in enumerate(lengths):
            alone = x[row : row + 1, :length]
            (y_alone, *finals_alone), _ = runner.run(alone, np.ones((1, length), bool))
            assert np.abs(y[row, :length] - y_alone[0]).max() <= 1e-6
            for a, b in zip(finals, finals_alone, strict=True):
                assert np.abs(a[row] - b[0]).max() <= 1e-6
