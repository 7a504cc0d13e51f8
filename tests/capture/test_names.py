"""Names, order and nesting of inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.capture.source import name_inputs, structure_of
from tests.tiny_keras import assert_same, lively, normal, shapes

L = keras.layers


def _names(artifact: Artifact) -> tuple[list[str], list[str]]:
    form = artifact.manifest.forms["model"]
    return [p.name for p in form.inputs], [p.name for p in form.outputs]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["x", "y"], ["x", "y"]),
        (["x", "x", "x"], ["x", "x_1", "x_2"]),
        (["x", "x_1", "x"], ["x", "x_1", "x_2"]),
        (["a/b:0", "a b", "a-b"], ["a_b", "a_b_1", "a_b_2"]),
        (["", "1st", "/"], ["input", "input_1st", "input_1"]),
    ],
)
def test_names_become_unique_keywords(given: list[str], expected: list[str]) -> None:
    assert name_inputs(given) == expected
    assert all(name.isidentifier() for name in expected)


def test_structures() -> None:
    found = structure_of({"b": [1, 2], "a": (3,)}, ["p", "q", "r"])
    assert (found.kind, found.keys) == ("dict", ["a", "b"])
    assert [item.kind for item in found.items] == ["tuple", "list"]
    assert found.items[0].items[0].name == "p"
    assert [leaf.name for leaf in found.items[1].items] == ["q", "r"]


def _two(x: Any, z: Any) -> Any:
    return L.Dense(2, name="head")(L.Concatenate()([L.LSTM(3)(x), L.GRU(4)(z)]))


def test_list_inputs(tmp_path: Path) -> None:
    """In the model's order, whatever the alphabet says."""
    z, a = keras.Input((None, 2), name="zebra"), keras.Input((None, 3), name="ape")
    model = lively(keras.Model([z, a], _two(a, z)))
    artifact = rnnport.export(model, tmp_path / "out")
    assert _names(artifact) == (["zebra", "ape"], ["head"])
    assert shapes(artifact) == [["B", "T", 2], ["B", "T2", 3]]
    first, second = normal(2, 5, 2), normal(2, 8, 3)
    expected = model([first, second])
    runner = rnnport.load(artifact)
    for received in (
        runner.run(first, second),
        runner.run([first, second]),
        runner.run(ape=second, zebra=first),
        runner.run(first, ape=second),
    ):
        assert isinstance(received, np.ndarray)
        assert_same(expected, received)


def test_dict_inputs_and_outputs(tmp_path: Path) -> None:
    z, a = keras.Input((None, 2), name="zebra"), keras.Input((None, 3), name="ape")
    sequence = L.LSTM(3, return_sequences=True, name="steps")(a)
    y = {"zulu": _two(sequence, z), "alpha": sequence}
    model = lively(keras.Model({"zebra": z, "ape": a}, y))
    artifact = rnnport.export(model, tmp_path / "out")
    assert _names(artifact) == (["ape", "zebra"], ["alpha", "zulu"])
    given = {"zebra": normal(2, 5, 2), "ape": normal(2, 8, 3)}
    expected = model(given)
    runner = rnnport.load(artifact)
    for received in (
        runner.run(given),
        runner.run(**given),
        runner.run(given["ape"], given["zebra"]),
    ):
        assert isinstance(received, dict)
        assert list(received) == ["alpha", "zulu"]
        for key in expected:
            assert_same(expected[key], received[key])


def test_nested_outputs(tmp_path: Path) -> None:
    x = keras.Input((None, 3), name="x")
    y, h, c = L.LSTM(4, return_sequences=True, return_state=True)(x)
    model = lively(keras.Model(x, {"y": y, "states": [h, c], "more": (L.Dense(2)(h),)}))
    artifact = rnnport.export(model, tmp_path / "out")
    sequence = normal(2, 6, 3)
    expected = model(sequence)
    received = rnnport.load(artifact).run(sequence)
    assert set(received) == {"y", "states", "more"}
    assert isinstance(received["states"], tuple)
    assert isinstance(received["more"], tuple)
    assert_same(expected, received)
    assert len(set(_names(artifact)[1])) == 4


def test_one_output_in_a_list(tmp_path: Path) -> None:
    x = keras.Input((None, 3), name="x")
    model = lively(keras.Model([x], [L.GRU(4)(x)]))
    received = rnnport.load(rnnport.export(model, tmp_path / "out")).run(normal(2, 5, 3))
    expected = model([normal(2, 5, 3)])
    assert isinstance(expected, (list, tuple)) == isinstance(received, tuple)
    assert_same(expected, received)


def test_a_layer_called_twice_gives_two_names(tmp_path: Path) -> None:
    one, two = keras.Input((None, 3), name="one"), keras.Input((None, 3), name="two")
    shared = L.LSTM(4, name="shared")
    model = lively(keras.Model([one, two], [shared(one), shared(two)]))
    artifact = rnnport.export(model, tmp_path / "out")
    outputs = _names(artifact)[1]
    assert len(set(outputs)) == 2
    a, b = normal(2, 5, 3), normal(2, 7, 3, seed=2)
    assert_same(model([a, b]), rnnport.load(artifact).run(a, b))


def test_one_tensor_twice_and_the_input_itself(tmp_path: Path) -> None:
    x = keras.Input((None, 3), name="x")
    y = L.GRU(4, name="x_out")(x)
    model = lively(keras.Model(x, [y, y, x]))
    artifact = rnnport.export(model, tmp_path / "out")
    inputs, outputs = _names(artifact)
    assert len({*inputs, *outputs}) == 4
    a = normal(2, 5, 3)
    assert_same(model(a), rnnport.load(artifact).run(a))


def test_an_input_nobody_reads(tmp_path: Path) -> None:
    x, idle = keras.Input((None, 3), name="x"), keras.Input((2,), name="idle")
    model = lively(keras.Model([idle, x], L.LSTM(4)(x)))
    artifact = rnnport.export(model, tmp_path / "out")
    assert _names(artifact)[0] == ["idle", "x"]
    a = normal(2, 5, 3)
    assert_same(model([normal(2, 2), a]), rnnport.load(artifact).run(normal(2, 2), a))


def test_names_that_are_no_identifiers(tmp_path: Path) -> None:
    x = keras.Input((None, 3), name="my input-1")
    model = lively(keras.Model(x, L.LSTM(4, name="2nd.layer")(x)))
    artifact = rnnport.export(model, tmp_path / "out")
    assert _names(artifact) == (["my_input_1"], ["input_2nd_layer"])
    a = normal(2, 5, 3)
    assert_same(model(a), rnnport.load(artifact).run(my_input_1=a))


def test_arguments_of_a_subclassed_model(tmp_path: Path) -> None:
    class Two(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = L.LSTM(4, return_state=True), L.Dense(2)

        def call(self, signal: Any, start: Any) -> Any:
            y, h, c = self.rnn(signal, initial_state=[start, start])
            return self.head(y), (h, c)

    model = Two()
    model(normal(2, 5, 3), normal(2, 4))
    signature = [tf.TensorSpec([None, None, 3]), tf.TensorSpec([None, 4])]
    artifact = rnnport.export(lively(model), tmp_path / "out", input_signature=signature)
    assert _names(artifact) == (["signal", "start"], ["output_0", "output_1", "output_2"])
    signal, start = normal(3, 7, 3), normal(3, 4)
    expected = model(signal, start)
    runner = rnnport.load(artifact)
    received = runner.run(start=start, signal=signal)
    assert isinstance(received, tuple)
    assert isinstance(received[1], tuple)
    assert_same(expected, received)
    assert_same(expected, runner.run(signal, start))


def test_a_function_of_two_arguments(tmp_path: Path) -> None:
    layer = L.GRU(4)
    layer.build((None, None, 3))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, 3], tf.float32),
            tf.TensorSpec([None, 4], tf.float32),
        ]
    )
    def run(signal: Any, start: Any) -> Any:
        y = layer(signal, initial_state=start)
        return {"y": y, "double": 2.0 * y}

    artifact = rnnport.export(run, tmp_path / "out")
    assert _names(artifact) == (["signal", "start"], ["double", "y"])
    assert artifact.manifest.name == "run"
    signal, start = normal(3, 7, 3), normal(3, 4)
    expected = run(tf.constant(signal), tf.constant(start))
    received = rnnport.load(artifact).run(signal=signal, start=start)
    assert list(received) == ["double", "y"]
    assert_same(expected["y"], received["y"])
    assert_same(expected["double"], received["double"])


def test_a_bare_cell(tmp_path: Path) -> None:
    cell = L.LSTMCell(4, name="stepper")
    cell.build((None, 3))
    lively(cell)
    artifact = rnnport.export(cell, tmp_path / "out")
    assert _names(artifact) == (["x", "h_in", "c_in"], ["y", "h_out", "c_out"])
    assert shapes(artifact) == [["B", 3], ["B", 4], ["B", 4]]
    x, h, c = normal(5, 3), normal(5, 4, seed=2), normal(5, 4, seed=3)
    y, states = cell(x, [h, c])
    assert_same([y, *states], rnnport.load(artifact).run(x, h_in=h, c_in=c))


def test_a_bare_stack_of_cells(tmp_path: Path) -> None:
    cell = L.StackedRNNCells([L.LSTMCell(4), L.GRUCell(2)])
    cell.build((None, 3))
    lively(cell)
    artifact = rnnport.export(cell, tmp_path / "out")
    inputs, outputs = _names(artifact)
    assert inputs == ["x", "cell0_h_in", "cell0_c_in", "cell1_h_in"]
    assert outputs == ["y", "cell0_h_out", "cell0_c_out", "cell1_h_out"]
    x = normal(5, 3)
    states = [[normal(5, 4), normal(5, 4)], [normal(5, 2)]]
    expected = keras.tree.flatten(cell(x, states))
    flat = keras.tree.flatten(states)
    assert_same(expected, rnnport.load(artifact).run(x, *flat))
