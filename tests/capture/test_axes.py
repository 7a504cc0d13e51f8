"""Which axes of the inputs are dynamic, and who fixes the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.errors import InputError
from tests.tiny_keras import assert_same, lively, normal, ops, output_shapes, shapes

L = keras.layers


def _export(folder: Path, model: Any, *arrays: Any, **options: Any) -> Artifact:
    """Export, and compare on each group of arrays."""
    artifact = rnnport.export(model, folder / "out", **options)
    runner = rnnport.load(artifact)
    for group in arrays:
        given = group if isinstance(group, tuple) else (group,)
        assert_same(model(*given) if len(given) == 1 else model(list(given)), runner.run(*given))
    return artifact


def test_sizes_that_only_the_input_fixes_are_dynamic(tmp_path: Path) -> None:
    x = keras.Input(batch_shape=(4, 6, 3))
    hidden = L.Bidirectional(L.GRU(4, return_sequences=True))(x)
    model = lively(keras.Model(x, L.LSTM(4, return_sequences=True)(hidden)))
    free = keras.Input((None, 3))
    twin = keras.Model(free, model.layers[2](model.layers[1](free)))
    artifact = _export(tmp_path, model)
    assert shapes(artifact) == [["B", "T", 3]]
    assert output_shapes(artifact) == [["B", "T", 4]]
    assert artifact.manifest.fixed_axes == []
    runner = rnnport.load(artifact)
    for batch, time in ((1, 1), (5, 13), (4, 6)):
        a = normal(batch, time, 3)
        assert_same(twin(a), runner.run(a))


def test_flatten_fixes_time_and_the_dense_behind_it_is_named(tmp_path: Path) -> None:
    x = keras.Input((6, 3), name="x")
    y = L.Dense(2, name="head")(L.Flatten(name="flat")(L.LSTM(4, return_sequences=True)(x)))
    model = lively(keras.Model(x, y))
    artifact = _export(tmp_path, model, normal(1, 6, 3), normal(5, 6, 3))
    assert shapes(artifact) == [["B", 6, 3]]
    (fixed,) = artifact.manifest.fixed_axes
    assert (fixed.input, fixed.axis, fixed.size, fixed.layer) == ("x", 1, 6, "head")
    assert "24" in fixed.reason
    assert "36" in fixed.reason
    with pytest.raises(InputError) as caught:
        rnnport.load(artifact).run(normal(2, 7, 3))
    (reason,) = caught.value.reasons
    assert reason.subject == "input 'x'"
    assert reason.received == "float32 (2, 7, 3)"
    assert reason.expected == "float32 (B, 6, 3)"
    assert reason.remedy == f"give axis 1 size 6 (fixed by layer 'head': {fixed.reason})"


def test_reshape_fixes_time(tmp_path: Path) -> None:
    x = keras.Input((6, 3), name="x")
    y = L.LSTM(4)(L.Reshape((3, 6), name="pairs")(x))
    model = lively(keras.Model(x, y))
    artifact = _export(tmp_path, model, normal(5, 6, 3))
    assert shapes(artifact) == [["B", 6, 3]]
    (fixed,) = artifact.manifest.fixed_axes
    assert (fixed.axis, fixed.size, fixed.layer) == (1, 6, "pairs")


def test_a_reshape_with_an_open_axis_fixes_nothing(tmp_path: Path) -> None:
    x = keras.Input((None, 4), name="x")
    model = lively(keras.Model(x, L.LSTM(4)(L.Reshape((-1, 2))(x))))
    artifact = _export(tmp_path, model, normal(5, 6, 4), normal(1, 11, 4))
    assert shapes(artifact) == [["B", "T", 4]]


def test_two_sequences_are_independent(tmp_path: Path) -> None:
    a, b = keras.Input((6, 3), name="a"), keras.Input((6, 2), name="b")
    y = L.Concatenate()([L.LSTM(4)(a), L.GRU(4)(b)])
    artifact = _export(tmp_path, lively(keras.Model([a, b], y)))
    assert shapes(artifact) == [["B", "T", 3], ["B", "T2", 2]]
    runner = rnnport.load(artifact)
    assert runner.run(normal(2, 5, 3), normal(2, 9, 2)).shape == (2, 8)


def test_two_sequences_that_must_be_of_one_length(tmp_path: Path) -> None:
    a, b = keras.Input((None, 3), name="a"), keras.Input((None, 2), name="b")
    y = L.LSTM(4)(L.Concatenate()([a, b]))
    artifact = _export(tmp_path, lively(keras.Model([a, b], y)), (normal(2, 5, 3), normal(2, 5, 2)))
    assert shapes(artifact) == [["B", "T", 3], ["B", "T", 2]]
    with pytest.raises(InputError) as caught:
        rnnport.load(artifact).run(normal(2, 5, 3), normal(2, 9, 2))
    (reason,) = caught.value.reasons
    assert reason.subject == "input 'b', axis 1"
    assert reason.expected == "size 5, as axis 1 of 'a': both are T"


def test_one_of_two_sequences_is_fixed(tmp_path: Path) -> None:
    a, b = keras.Input((None, 3), name="a"), keras.Input((5, 2), name="b")
    y = L.Concatenate()([L.LSTM(4)(a), L.Dense(2, name="wide")(L.Flatten()(b))])
    artifact = _export(tmp_path, lively(keras.Model([a, b], y)))
    assert shapes(artifact) == [["B", "T", 3], ["B", 5, 2]]
    (fixed,) = artifact.manifest.fixed_axes
    assert (fixed.input, fixed.axis, fixed.size, fixed.layer) == ("b", 1, 5, "wide")
    assert rnnport.load(artifact).run(normal(2, 9, 3), normal(2, 5, 2)).shape == (2, 6)


def test_stateful_batch_is_dynamic(tmp_path: Path) -> None:
    x = keras.Input(batch_shape=(32, 8, 3))
    y = L.LSTM(4, stateful=True, return_sequences=True)(x)
    model = lively(keras.Model(x, L.GRU(4, stateful=True)(y)))
    artifact = _export(tmp_path, model)
    assert shapes(artifact) == [["B", "T", 3]]
    assert artifact.manifest.fixed_axes == []
    a = normal(32, 8, 3)
    received = rnnport.load(artifact).run(a)
    assert_same(model(a), received)
    assert np.abs(rnnport.load(artifact).run(a[:3]) - received[:3]).max() <= 1e-6


def test_feature_axes_stay(tmp_path: Path) -> None:
    """A plain vector beside a sequence keeps its size; ids of rank 2 have a time axis."""
    ids, extra = keras.Input((5,), dtype="int32", name="ids"), keras.Input((4,), name="extra")
    y = L.Concatenate()([L.LSTM(4)(L.Embedding(9, 3)(ids)), extra])
    artifact = _export(tmp_path, lively(keras.Model([ids, extra], L.Dense(2)(y))))
    assert shapes(artifact) == [["B", "T"], ["B", 4]]
    ports = artifact.manifest.forms["model"].inputs
    assert [p.dtype for p in ports] == ["int32", "float32"]
    assert ports[0].sampling is not None
    assert (ports[0].sampling.kind, ports[0].sampling.high) == ("ids", 9)


def test_strides_give_the_output_a_length_of_its_own(tmp_path: Path) -> None:
    x = keras.Input((None, 3), name="x")
    y = L.GRU(4, return_sequences=True)(L.Conv1D(5, 3, strides=2)(x))
    model = lively(keras.Model(x, y, name="m"))
    artifact = _export(tmp_path, model, normal(2, 9, 3), normal(1, 30, 3))
    assert shapes(artifact) == [["B", "T", 3]]
    (shape,) = output_shapes(artifact)
    assert shape[0] == "B"
    assert isinstance(shape[1], str)
    assert shape[1] not in ("B", "T")
    assert shape[2] == 4


class _Loop(keras.Model):
    """Steps a cell as often as the input has steps."""

    def __init__(self, *, feedback: bool) -> None:
        super().__init__(name="looped")
        self.cell, self.head = L.LSTMCell(4), L.Dense(3)
        self.feedback = feedback

    def call(self, x: Any) -> Any:
        states = self.cell.get_initial_state(batch_size=tf.shape(x)[0])
        fed, outputs = x[:, 0], []
        for t in range(x.shape[1]):
            y, states = self.cell(fed if self.feedback else x[:, t], states)
            fed = self.head(y)
            outputs.append(fed if self.feedback else y)
        return tf.stack(outputs, axis=1)


def test_a_python_loop_over_the_steps_is_one_layer_of_any_length(tmp_path: Path) -> None:
    model = _Loop(feedback=False)
    model(normal(2, 6, 3))
    lively(model)
    artifact = _export(tmp_path, model, normal(1, 1, 3), normal(2, 6, 3), normal(3, 17, 3))
    assert ops(artifact)["LSTM"] == 1
    assert shapes(artifact) == [["B", "T", 3]]
    assert output_shapes(artifact) == [["B", "T", 4]]
    assert artifact.manifest.fixed_axes == []
    assert rnnport.verify(artifact, model=model).passed


def test_a_feedback_loop_keeps_its_length(tmp_path: Path) -> None:
    model = _Loop(feedback=True)
    model(normal(2, 5, 3))
    lively(model)
    artifact = _export(tmp_path, model, normal(2, 5, 3), normal(1, 5, 3))
    assert ops(artifact)["LSTM"] == 5
    assert shapes(artifact) == [["B", 5, 3]]
    assert output_shapes(artifact) == [["B", 5, 3]]
    (fixed,) = artifact.manifest.fixed_axes
    assert (fixed.input, fixed.axis, fixed.size) == ("x", 1, 5)
    assert fixed.reason
    assert rnnport.verify(artifact, model=model).passed


def test_a_batch_that_the_code_fixes(tmp_path: Path) -> None:
    class Fixed(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="fixed")
            self.rnn = L.GRU(4)

        def call(self, x: Any) -> Any:
            return self.rnn(x) + tf.reshape(tf.range(8.0), [2, 4])

    model = Fixed()
    model(normal(2, 6, 3))
    lively(model)
    signature = [tf.TensorSpec([2, None, 3])]
    artifact = _export(tmp_path, model, normal(2, 9, 3), input_signature=signature)
    assert shapes(artifact) == [[2, "T", 3]]
    (fixed,) = artifact.manifest.fixed_axes
    assert (fixed.axis, fixed.size, fixed.layer) == (0, 2, "fixed")
