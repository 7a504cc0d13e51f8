"""Masked models for target "cpu": packed in the graph, and right on other runtimes too."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import rnnport

MASK = -2.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind and direction under one mask, with outputs of every sort."""
    layers = keras.layers
    x = keras.Input((None, 3), name="x")
    masked = layers.Masking(MASK)(x)
    low = layers.LSTM(4, return_sequences=True, name="low")(masked)
    back = layers.GRU(3, return_sequences=True, go_backwards=True, name="back")(masked)
    both = layers.Bidirectional(layers.SimpleRNN(2, return_sequences=True), name="both")(low)
    pair = layers.Bidirectional(layers.GRU(3), name="pair")(both)
    last, h, c = layers.LSTM(5, return_state=True, name="top")(low)
    outputs = {"back": back, "pair": pair, "last": last, "h": h, "c": c, "both": both}
    out = tmp_path_factory.mktemp("packed") / "model"
    rnnport.export(keras.Model(x, outputs), out, target="cpu")
    return out


def test_the_graph(folder: Path) -> None:
    """Packed, one comparison with the mask value, no loop."""
    manifest = rnnport.open(folder).manifest
    how = {layer.name.rpartition("/")[2]: layer.lowering for layer in manifest.layers}
    assert all("packed" in lowering for lowering in how.values()), how
    counts = manifest.forms["model"].op_counts
    assert (counts["Equal"], counts["ReduceMin"], counts.get("Loop", 0)) == (1, 1, 0)
    assert counts["LSTM"] == 2
    assert counts["GRU"] == 3
    assert counts["Scan"] == 2


@pytest.mark.parametrize("provider", ["cpu", "reference"])
def test_verified(folder: Path, provider: str) -> None:
    report = rnnport.verify(folder, provider=provider)
    assert report.passed, [check for check in report.checks if not check.passed][:3]


def test_masks_that_were_not_traced(folder: Path) -> None:
    """A row is what it is alone with its valid steps; large batches run in parts all the same."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40, 23, 3)).astype(np.float32)
    valid = rng.random((40, 23)) < 0.5
    valid[0], valid[1] = False, True
    x[~valid] = MASK
    runner = rnnport.load(folder, provider="cpu", threads=2)
    found = runner.run(x)
    for row in range(1, 40, 3):
        own = x[row][valid[row]]
        alone = runner.run(own[None])
        for name in ("pair", "last", "h", "c"):
            np.testing.assert_allclose(found[name][row], alone[name][0], atol=2e-6)
    for name in ("pair", "h", "c"):
        assert not found[name][0].any()
