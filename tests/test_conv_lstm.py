"""K14: convolutional LSTM layers, one Scan with one convolution a step, and streams of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest

import rnnport
from tests.test_custom_cells import proven
from tests.tiny_keras import assert_same, lively, normal

L = keras.layers
SIZES = {1: (9,), 2: (6, 7), 3: (5, 4, 3)}


def conv_lstm(rank: int, **options: Any) -> Any:
    return getattr(L, f"ConvLSTM{rank}D")(3, options.pop("kernel", 2), **options)


def model_of(rank: int, *, masked: bool = False, **options: Any) -> Any:
    x = keras.Input((None, *SIZES[rank], 2), name="x")
    layer = conv_lstm(rank, **options)
    if not masked:
        return lively(keras.Model(x, layer(x)))
    mask = keras.Input((None,), dtype="bool", name="mask")
    return lively(keras.Model([x, mask], layer(x, mask=mask)))


@pytest.mark.parametrize("rank", SIZES)
@pytest.mark.parametrize(
    "options",
    [
        {"padding": "same", "return_sequences": True, "return_state": True},
        {"padding": "valid"},
        {"strides": 2, "return_sequences": True, "use_bias": False},
        {"dilation_rate": 2, "activation": "relu", "recurrent_activation": "hard_sigmoid"},
        {"go_backwards": True, "return_sequences": True, "dropout": 0.3, "recurrent_dropout": 0.3},
    ],
    ids=str,
)
def test_k14_options(rank: int, options: dict[str, Any], tmp_path: Path) -> None:
    artifact = proven(model_of(rank, **options), tmp_path)
    assert [p.shape for p in artifact.manifest.forms["model"].inputs] == [
        ["B", "T", *SIZES[rank], 2]
    ]
    (scan,) = [n for n in onnx.load(artifact.forms["model"]).graph.node if n.op_type == "Scan"]
    body = next(a.g for a in scan.attribute if a.name == "body")
    assert [n.op_type for n in body.node].count("Conv") == 1
    assert artifact.manifest.forms["model"].op_counts["Conv"] == 2
    assert artifact.manifest.streamable.ok is not options.get("go_backwards", False)


@pytest.mark.parametrize(
    "options",
    [
        {"return_sequences": True, "return_state": True},
        {"zero_output_for_mask": True, "return_sequences": True},
        {"go_backwards": True},
    ],
    ids=str,
)
def test_k14_masks(options: dict[str, Any], tmp_path: Path) -> None:
    zero = options.pop("zero_output_for_mask", False)
    model = model_of(2, masked=True, padding="same", **options)
    model.layers[-1].zero_output_for_mask = zero
    proven(model, tmp_path)


@pytest.mark.parametrize("rank", SIZES)
@pytest.mark.parametrize("backwards", [False, True])
def test_k14_masking_of_single_pixels(rank: int, backwards: bool, tmp_path: Path) -> None:
    """Keras's Masking marks every pixel on its own: (B, T, …), and the layer holds each."""
    x = keras.Input((None, *SIZES[rank], 2), name="x")
    layer = conv_lstm(rank, padding="same", return_sequences=True, go_backwards=backwards)
    proven(lively(keras.Model(x, layer(L.Masking(0.0)(x)))), tmp_path)


def test_k14_stateful(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input(batch_shape=(2, None, *SIZES[2], 2)), conv_lstm(2, stateful=True)]
    )
    runner = rnnport.load(rnnport.export(lively(model), tmp_path / "out"), provider="cpu")
    stepper = runner.stepper(2)
    for number in range(3):
        piece = normal(2, 3, *SIZES[2], 2, seed=number)
        assert_same(model(piece), stepper.feed(piece))


def test_k14_states_are_images(tmp_path: Path) -> None:
    """A stream of frames, step by step: states (B, H, W, C), snapshots and pools as ever."""
    model = model_of(2, padding="same", return_sequences=True)
    artifact = proven(model, tmp_path)
    states = artifact.manifest.forms["stream"].states
    assert [s.shape for s in states] == [["B", *SIZES[2], 3]] * 2
    runner, x = rnnport.load(artifact, provider="cpu"), normal(3, 6, *SIZES[2], 2)
    stepper, pool = runner.stepper(3), runner.pool(capacity=4)
    ids = [pool.open() for _ in range(3)]
    steps = []
    for t in range(6):
        steps.append(stepper.step(x[:, t]))
        stepper.restore(stepper.snapshot())
        np.testing.assert_array_equal(pool.step(ids, x[:, t]), steps[-1])
    assert_same(model(x), np.stack(steps, axis=1))


def test_k14_under_a_classifier(tmp_path: Path) -> None:
    x = keras.Input((None, 8, 8, 1))
    y = conv_lstm(2, padding="same", return_sequences=True)(x)
    y = L.BatchNormalization()(y)
    y = L.TimeDistributed(L.MaxPooling2D())(y)
    y = conv_lstm(2, padding="same")(y)
    proven(lively(keras.Model(x, L.Dense(4)(L.Flatten()(y)))), tmp_path, scans=2)
