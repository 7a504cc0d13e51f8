"""Recurrent layers inside TimeDistributed: batch and time are one axis there."""

from __future__ import annotations

from pathlib import Path

import keras

import rnnport
from tests.tiny_keras import assert_same, lively, normal, ops

L = keras.layers


def test_scans_over_unlike_batches(tmp_path: Path) -> None:
    """onnxruntime must not share memory between values of B rows and of B·T rows."""
    model = keras.Sequential(
        [
            keras.Input((None, 4)),
            L.GRU(4, activation="gelu", return_sequences=True),
            L.Reshape((-1, 2, 2)),
            L.TimeDistributed(L.GRU(4, activation="gelu")),
            L.GRU(4, activation="gelu", return_sequences=True),
        ]
    )
    lively(model)
    artifact = rnnport.export(model, tmp_path / "out")
    assert ops(artifact)["Scan"] == 3
    assert artifact.manifest.fixed_axes == []
    x = normal(5, 17, 4)
    assert_same(model(x), rnnport.load(artifact, provider="cpu").run(x))


def test_dense_inside_is_one_product(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((None, 4)), L.LSTM(3, return_sequences=True), L.TimeDistributed(L.Dense(5))]
    )
    lively(model)
    artifact = rnnport.export(model, tmp_path / "out")
    assert ops(artifact)["MatMul"] == 1
    assert ops(artifact)["Reshape"] == 0
    x = normal(2, 9, 4)
    assert_same(model(x), rnnport.load(artifact, provider="cpu").run(x))
