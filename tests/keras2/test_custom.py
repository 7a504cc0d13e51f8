"""Cells of a user's own in tf_keras: nested inputs, states and outputs, constants, convolutions."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras.src.backend import RandomGenerator
from tf_keras.src.layers.rnn.dropout_rnn_cell_mixin import DropoutRNNCellMixin

import rnnport
from tests.keras2.cells import Minimal
from tests.keras2.proving import Prove, assert_equal, functional
from tests.tiny_keras import lively, normal

L = tf_keras.layers
Inputs = namedtuple("Inputs", ["feature1", "feature2"])
States = namedtuple("States", ["state1", "state2"])


class Nested(L.Layer):  # type: ignore[misc]
    """The nested cell of TensorFlow's RNN guide; here with tanh, so that it stays bounded."""

    def __init__(self, one: int, two: int, three: int, **options: Any) -> None:
        self.sizes = one, two, three
        self.state_size = States(one, tf.TensorShape([two, three]))
        self.output_size = (one, tf.TensorShape([two, three]))
        super().__init__(**options)

    def build(self, shapes: Any) -> None:
        one, two, three = self.sizes
        self.flat = self.add_weight(shape=(shapes.feature1[1], one), name="flat")
        self.grid = self.add_weight(shape=(*shapes.feature2[1:], two, three), name="grid")

    def call(self, inputs: Any, states: Any) -> Any:
        flat, grid = tf.nest.flatten(inputs)
        old_flat, old_grid = states
        flat = tf.tanh(tf.matmul(flat, self.flat) + old_flat)
        grid = tf.tanh(tf.einsum("bij,ijkl->bkl", grid, self.grid) + old_grid)
        return (flat, grid), States(flat, grid)


class Sensors(L.Layer):  # type: ignore[misc]
    """Dict in, dict out; inputs of unlike rank."""

    state_size = (4, 3)
    output_size = 4

    def build(self, shapes: Any) -> None:
        first, second = sorted(shapes)
        wide = int(np.prod(shapes[first][1:]))
        self.a = self.add_weight(shape=(wide, 4), name="a")
        self.b = self.add_weight(shape=(int(np.prod(shapes[second][1:])) + 4, 3), name="b")
        self.sides, self.wide = (first, second), wide

    def call(self, inputs: Any, states: Any) -> Any:
        first, second = (inputs[side] for side in self.sides)
        a = tf.tanh(tf.matmul(tf.reshape(first, (-1, self.wide)), self.a) + states[0])
        b = tf.tanh(tf.matmul(tf.concat([second, a], -1), self.b) + states[1])
        return {"seen": a, "felt": b}, (a, b)


def nested_model(**options: Any) -> Any:
    one, two = L.Input((None, 32)), L.Input((None, 64, 32))
    layer = L.RNN(Nested(10, 20, 30), name="rnn", **options)
    return lively(tf_keras.Model([one, two], layer(Inputs(one, two))))


@pytest.mark.parametrize("sequences", [True, False])
def test_k9_nested_tuples(prove: Prove, sequences: bool) -> None:
    artifact = prove(nested_model(return_sequences=sequences), scan=1, streams=True)
    (layer,) = artifact.manifest.layers
    assert layer.reason.endswith("Einsum, MatMul on the input alone done for all steps at once")
    states = artifact.manifest.forms["stream"].states
    assert [s.shape for s in states] == [["B", 10], ["B", 20, 30]]


@pytest.mark.parametrize(
    ("names", "shapes"),
    [(("audio", "video"), ((5,), (2, 3, 1))), (("location", "pressure"), ((3,), (1,)))],
)
def test_k9_dicts(prove: Prove, names: tuple[str, ...], shapes: tuple[Any, ...]) -> None:
    """Video and audio of unlike rank; location and pressure."""
    sizes = dict(zip(names, shapes, strict=True))
    order = sorted(names, key=lambda name: -len(sizes[name]))
    inputs = {name: L.Input((None, *sizes[name]), name=name) for name in order}
    renamed = dict(zip(("a_first", "b_second"), (inputs[name] for name in order), strict=True))
    outputs = L.RNN(Sensors(), return_sequences=True, return_state=True)(renamed)
    prove(lively(tf_keras.Model(inputs, outputs)), scan=1, streams=True)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"return_sequences": True, "return_state": True},
        {"go_backwards": True},
        {"zero_output_for_mask": True, "return_sequences": True},
    ],
    ids=str,
)
def test_masks_and_directions(prove: Prove, options: dict[str, Any], mask: bool) -> None:
    model = functional(L.RNN(Minimal(4), **options), mask=mask)
    prove(model, scan=1, streams=not options.get("go_backwards", False))


def test_time_first(prove: Prove) -> None:
    x = L.Input((None, 3), name="x")
    layer = L.RNN(Minimal(4), time_major=True, return_sequences=True)
    model = tf_keras.Model(
        x, L.Permute((1, 2))(tf.transpose(layer(tf.transpose(x, [1, 0, 2])), [1, 0, 2]))
    )
    prove(lively(model), scan=1)


def test_constants(prove: Prove) -> None:
    """What Keras 2 hands to the cell in every step is read from outside of the loop."""
    x, extra = L.Input((None, 3), name="x"), L.Input((4,), name="extra")
    layer = L.RNN(Minimal(4), return_sequences=True)
    artifact = prove(
        lively(tf_keras.Model([x, extra], layer(x, constants=extra))), scan=1, streams=True
    )
    assert artifact.manifest.forms["stream"].fixed == ["extra"]


def test_standard_cells_of_a_stack_stay_fused(prove: Prove) -> None:
    cells = [L.LSTMCell(4), Minimal(3), L.GRUCell(5)]
    prove(functional(L.RNN(cells, return_sequences=True)), LSTM=1, GRU=1, scan=1, streams=True)


def test_bidirectional(prove: Prove) -> None:
    layer = L.Bidirectional(
        L.RNN(Minimal(4), return_sequences=True),
        backward_layer=L.RNN(Minimal(4), return_sequences=True, go_backwards=True),
    )
    prove(functional(layer, mask=True), scan=2, streams=False)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("mask", [False, True])
def test_k14_conv_lstm(prove: Prove, rank: int, mask: bool, tmp_path: Path) -> None:
    sizes = (7, 5, 4)[:rank]
    x = L.Input((None, *sizes, 2), name="x")
    layer = getattr(L, f"ConvLSTM{rank}D")(3, 2, padding="same", return_sequences=True)
    inner = L.Masking()(x) if mask else x
    model = lively(tf_keras.Model(x, layer(inner)))
    artifact = prove(model, scan=1, streams=True)
    assert artifact.manifest.forms["model"].op_counts["Conv"] == 2
    states = artifact.manifest.forms["stream"].states[:2]
    assert [s.shape for s in states] == [["B", *sizes, 3]] * 2
    assert_equal(artifact, model, 6)


def test_stateful_convolutions_stream(tmp_path: Path) -> None:
    model = tf_keras.Sequential(
        [L.InputLayer(batch_input_shape=(2, None, 6, 6, 1)), L.ConvLSTM2D(3, 2, stateful=True)]
    )
    stepper = rnnport.load(rnnport.export(lively(model), tmp_path / "out")).stepper(2)
    for seed in range(3):
        piece = np.random.default_rng(seed).standard_normal((2, 4, 6, 6, 1)).astype("float32")
        expected = model(piece).numpy()
        np.testing.assert_allclose(stepper.feed(piece), expected, atol=1e-5)


@pytest.mark.parametrize("wrapped", [False, True])
def test_k14_conv_lstm_with_dropout(prove: Prove, wrapped: bool) -> None:
    """Keras 2 keeps the masks of such a layer: its own second eager call fails at another batch."""
    layer = L.ConvLSTM1D(2, 2, padding="same", dropout=0.3, recurrent_dropout=0.2)
    x = L.Input((None, 5, 1), name="x")
    model = lively(tf_keras.Model(x, (L.Bidirectional(layer) if wrapped else layer)(x)))
    given = normal(4, 6, 5, 1)
    before = model(given).numpy()
    artifact = rnnport.export(model, prove.folder / "out")
    assert rnnport.verify(artifact, model=model).passed
    np.testing.assert_array_equal(model(given), before)
    runner = rnnport.load(artifact, provider="cpu")
    np.testing.assert_allclose(runner.run(given), before, atol=1e-5)


class Dropping(DropoutRNNCellMixin, Minimal):  # type: ignore[misc]
    """A cell that keeps dropout masks as Keras's own do."""

    def __init__(self, units: int, dropout: float = 0.3, **options: Any) -> None:
        super().__init__(units, **options)
        self.dropout, self.recurrent_dropout = dropout, 0.0
        self._random_generator = RandomGenerator(1)

    def call(self, x: Any, states: Any, training: Any = None) -> Any:
        return super().call(x * self.get_dropout_mask_for_cell(x, training), states)


def test_cells_with_dropout_masks(prove: Prove) -> None:
    """A layer that was called before, and stands in the model twice."""
    shared = L.RNN(Dropping(4), return_sequences=True)
    x, y = L.Input((None, 3), name="x"), L.Input((None, 3), name="y")
    model = lively(tf_keras.Model([x, y], [shared(x), shared(y)]))
    model([normal(5, 6, 3), normal(5, 6, 3)])
    prove(model, scan=2)
