"""Mission rows that stream, against Keras's own stateful layers fed the same pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import rnnport
from tests.tiny_keras import assert_same, lively, normal

L = keras.layers


def stateful_lstm(batch: int, features: int, **options: Any) -> Any:
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(batch, None, features)),
            L.LSTM(64, stateful=True, name="lstm", **options),
        ]
    )
    return lively(model)


def reset(model: Any) -> None:
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_states()


def test_k5_three_batches_then_reset(tmp_path: Path) -> None:
    """A stateful LSTM(64) fed three consecutive (20, 10, 50) batches, reset, and fed again."""
    model = stateful_lstm(20, 50)
    stepper = rnnport.load(rnnport.export(model, tmp_path / "out"), provider="cpu").stepper(20)
    for number in range(3):
        batch = normal(20, 10, 50, seed=number)
        assert_same(model(batch), stepper.feed(batch))
    reset(model)
    stepper.reset()
    again = normal(20, 10, 50, seed=9)
    assert_same(model(again), stepper.feed(again))


def test_k5_uneven_pieces(tmp_path: Path) -> None:
    """t0 … t1547 in uneven pieces: what Keras's stateful layer gives, and the whole run."""
    model = stateful_lstm(1, 3, return_sequences=True)
    artifact = rnnport.export(model, tmp_path / "out")
    runner = rnnport.load(artifact, provider="cpu")
    series = normal(1, 1548, 3)
    stepper, at, pieces = runner.stepper(), 0, []
    for length in (1, 100, 7, 40, 1, 1, 899, 499):
        piece = series[:, at : at + length]
        pieces.append(stepper.feed(piece))
        assert_same(model(piece), pieces[-1])
        at += length
    assert at == 1548
    whole = runner.run(series)
    assert np.abs(np.concatenate(pieces, axis=1) - whole).max() <= 1e-6


@pytest.mark.parametrize("opens", ["valid", "masked"])
def test_k5_pieces_under_a_mask(opens: str, tmp_path: Path) -> None:
    """Against Keras's stateful layer, and where a piece opens masked against the whole run."""
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(3, None, 4)),
            L.Masking(),
            L.LSTM(8, stateful=True, return_sequences=True),
        ]
    )
    lively(model)
    runner = rnnport.load(rnnport.export(model, tmp_path / "out"), provider="cpu")
    series = normal(3, 40, 4)
    series[np.random.default_rng(2).random((3, 40)) < 0.4] = 0.0
    lengths = (9, 1, 12, 3, 15)
    starts = np.cumsum((0, *lengths[:-1]))
    series[:, starts] = 0.0 if opens == "masked" else 1.0
    whole, stepper = runner.run(series), runner.stepper(3)
    for start, length in zip(starts, lengths, strict=True):
        piece = series[:, start : start + length]
        received = stepper.feed(piece)
        assert np.abs(received - whole[:, start : start + length]).max() <= 1e-6
        if opens == "valid":
            assert_same(model(piece), received)


def test_k11_cell_driven_for_80_steps(tmp_path: Path) -> None:
    cell = L.LSTMCell(12, name="cell")
    cell.build((None, 100))
    lively(cell)
    stepper = rnnport.load(rnnport.export(cell, tmp_path / "out"), provider="cpu").stepper(2)
    x, states = normal(2, 80, 100), [np.zeros((2, 12), np.float32)] * 2
    for t in range(80):
        expected, states = cell(x[:, t], states)
        assert_same(expected, stepper.step(x[:, t]))
    assert_same(states, list(stepper.state.values()))


def test_k11_one_step_function_stepped(tmp_path: Path) -> None:
    cell, dense = L.GRUCell(6, name="gru"), L.Dense(2)
    cell.build((None, 5))
    dense.build((None, 6))
    lively(cell)

    @tf.function(input_signature=[tf.TensorSpec([None, 5]), tf.TensorSpec([None, 6])])
    def advance(x: Any, h: Any) -> Any:
        y, (h,) = cell(x, [h])
        return dense(y), h

    stepper = rnnport.load(rnnport.export(advance, tmp_path / "out"), provider="cpu").stepper(3)
    x, h = normal(3, 20, 5), np.zeros((3, 6), np.float32)
    expected = []
    for t in range(20):
        y, h = advance(x[:, t], h)
        expected.append(y)
    assert_same(expected[:9], [stepper.step(x[:, t]) for t in range(9)])
    assert_same(np.stack(expected[9:], axis=1), stepper.feed(x[:, 9:]))
    assert_same(h, stepper.state["gru_h"])


def test_k15_three_stacked_stateful_in_pieces(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input(batch_shape=(32, 8, 16))])
    for last in (False, False, True):
        model.add(L.LSTM(32, stateful=True, return_sequences=not last))
    model.add(L.Dense(10, activation="softmax"))
    lively(model)
    stepper = rnnport.load(rnnport.export(model, tmp_path / "out"), provider="cpu").stepper(32)
    for number in range(4):
        batch = normal(32, 8, 16, seed=number)
        for start, end in ((0, 3), (3, 4)):
            stepper.feed(batch[:, start:end])
        assert_same(model(batch), stepper.feed(batch[:, 4:]))


def test_k19_causal_convolution_streams(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((None, 6)),
            L.Conv1D(16, 5, padding="causal", activation="relu"),
            L.LayerNormalization(),
            L.GRU(12, return_sequences=True),
            L.TimeDistributed(L.Dense(3)),
        ]
    )
    lively(model)
    stepper = rnnport.load(rnnport.export(model, tmp_path / "out"), provider="cpu").stepper(2)
    x = normal(2, 30, 6)
    assert_same(model(x), np.stack([stepper.step(x[:, t]) for t in range(30)], axis=1))


def test_ten_thousand_steps_do_not_drift(tmp_path: Path) -> None:
    """Against Keras stepping the same stream."""
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(1, None, 4)),
            L.LSTM(24, stateful=True, return_sequences=True),
            L.GRU(16, stateful=True, return_sequences=True),
            L.Dense(2),
        ]
    )
    lively(model)
    stepper = rnnport.load(rnnport.export(model, tmp_path / "out"), provider="cpu").stepper()
    series = normal(1, 10_000, 4)

    @tf.function(input_signature=[tf.TensorSpec([1, 1, 4])])
    def keras_step(x: Any) -> Any:
        return model(x)

    expected = [keras_step(series[:, t : t + 1]).numpy()[:, 0] for t in range(10_000)]
    received = [stepper.step(series[:, t]) for t in range(10_000)]
    assert_same(np.stack(expected), np.stack(received))
