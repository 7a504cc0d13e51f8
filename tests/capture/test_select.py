"""tf.where: what is not selected is not looked at, whatever it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import rnnport
from tests.tiny_keras import assert_same, lively, normal

LIMITS = [np.nan, np.inf, -np.inf]


def _exported(model: Any, out: Path) -> Any:
    return rnnport.load(rnnport.export(model, out), provider="cpu", threads=1)


def _by_flag(t: Any) -> Any:
    return ops.where(t[1] > 0, t[0], 0.0)


def _by_value(t: Any) -> Any:
    return ops.where(ops.isfinite(t[0]), t[0], t[1])


def _twice(t: Any) -> Any:
    large = ops.where(t[0] > 1e30, 1.0, t[0])
    return ops.where(t[1] > 0, large, -t[1])


@pytest.mark.parametrize("clean", [_by_flag, _by_value, _twice])
def test_missing_data_is_cleaned(clean: Callable[..., Any], tmp_path: Path) -> None:
    x, known = keras.Input((None, 3)), keras.Input((None, 1))
    y = layers.GRU(4, return_sequences=True)(layers.Lambda(clean)([x, known]))
    model = lively(keras.Model([x, known], y))
    runner = _exported(model, tmp_path / "out")
    data, flags = normal(3, 7, 3), np.ones((3, 7, 1), np.float32)
    for row, limit in enumerate(LIMITS):
        data[row, 2:4] = limit
        flags[row, 2:4] = 0
    assert_same(model.predict([data, flags], verbose=0), runner.run(data, flags))


def test_truth_values_and_whole_numbers(tmp_path: Path) -> None:
    x = keras.Input((None, 2))

    def choose(t: Any) -> Any:
        positive, small = t > 0, ops.abs(t) < 1
        truth = ops.where(positive, small, ops.logical_not(small))
        number = ops.where(truth, ops.cast(ops.floor(t), "int32"), 7)
        return ops.cast(number, "float32")

    y = layers.LSTM(3, return_sequences=True)(layers.Lambda(choose)(x))
    model = lively(keras.Model(x, y))
    runner = _exported(model, tmp_path / "out")
    data = 3 * normal(4, 6, 2)
    assert_same(model.predict(data, verbose=0), runner.run(data))


def test_the_first_select_chooses_whole_rows(tmp_path: Path) -> None:
    """TensorFlow 1: a condition (B,) for values (B, T, F)."""
    x = keras.Input((None, 2))

    def choose(t: Any) -> Any:
        first = t[:, 0, 0] > 0
        return tf.raw_ops.Select(condition=first, x=t, y=tf.zeros_like(t))

    y = layers.SimpleRNN(3, return_sequences=True)(layers.Lambda(choose)(x))
    model = lively(keras.Model(x, y))
    runner = _exported(model, tmp_path / "out")
    data = normal(5, 4, 2)
    data[:, 0, 0] = [1, -1, 2, -2, -3]
    data[1, 2], data[3, 1] = np.nan, np.inf
    assert_same(model.predict(data, verbose=0), runner.run(data))


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_embeddings_read_negative_ids_as_keras_does(kind: str, tmp_path: Path) -> None:
    ids = keras.Input((None,), dtype=kind)
    y = layers.GRU(4, return_sequences=True)(layers.Embedding(9, 5)(ids))
    model = lively(keras.Model(ids, y))
    artifact = rnnport.export(model, tmp_path / "out")
    counts = Counter(artifact.manifest.forms["model"].op_counts)
    assert counts["Gather"] == 1
    assert not {"Where", "Less", "Add", "Mul"} & set(counts)
    drawn = np.random.default_rng(2).integers(-9, 9, (4, 6)).astype(kind)
    assert (drawn < 0).any()
    runner = rnnport.load(artifact, provider="cpu", threads=1)
    assert_same(model.predict(drawn, verbose=0), runner.run(drawn))
