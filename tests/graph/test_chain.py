"""Cells stepped by a Python loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.errors import InputError
from tests.tiny_keras import assert_same, lively, lowerings, normal, ops, shapes

L = keras.layers
STEPS = 6


class Stepped(keras.Model):
    """Runs `body(cells, x)`."""

    def __init__(self, body: Callable[[Any, Any], Any], *cells: Any) -> None:
        super().__init__()
        self.cells = list(cells)
        self.body = body

    def call(self, x: Any) -> Any:
        return self.body(self.cells, x)


def _export(folder: Path, body: Any, *cells: Any, steps: int = STEPS) -> Artifact:
    """Export and compare; every chain is compared with Keras."""
    model = Stepped(body, *cells)
    x = normal(2, steps, 3)
    model(x)
    lively(model)
    artifact = rnnport.export(model, folder / "out")
    assert_same(model(x), rnnport.load(artifact).run(x))
    assert not {"Loop", "Scan", "If"} & set(ops(artifact))
    return artifact


def _zeros(x: Any, *cells: Any) -> list[Any]:
    """Zero states as one list for each cell, made from tensors so that any batch fits."""
    return [cell.get_initial_state(batch_size=tf.shape(x)[0]) for cell in cells]


def _last(cells: Any, x: Any) -> Any:
    (cell,) = cells
    (states,) = _zeros(x, cell)
    for t in range(STEPS):
        y, states = cell(x[:, t], states)
    return y


def _unstacked(cells: Any, x: Any) -> Any:
    (cell,) = cells
    (states,) = _zeros(x, cell)
    outputs = []
    for step in tf.unstack(x, num=STEPS, axis=1):
        y, states = cell(step, states)
        outputs.append(y)
    return tf.stack(outputs, axis=1)


def _time_major(cells: Any, x: Any) -> Any:
    (cell,) = cells
    (states,) = _zeros(x, cell)
    turned = tf.transpose(x, [1, 0, 2])
    outputs = []
    for t in range(STEPS):
        y, states = cell(turned[t], states)
        outputs.append(y)
    return tf.stack(outputs)


def _keras_ops(cells: Any, x: Any) -> Any:
    (cell,) = cells
    (states,) = _zeros(x, cell)
    outputs = []
    for t in range(STEPS):
        y, states = cell(x[:, t, :], states)
        outputs.append(y)
    return keras.ops.stack(outputs, axis=1), states


def cut(artifact: Artifact) -> bool:
    """Whether single steps are cut from a sequence."""
    return ops(artifact)["Gather"] > 1 or "Split" in ops(artifact)


STATES = 1  # Concat makes the shape of the zero states


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        (_last, "LSTM"),
        (_unstacked, "LSTM"),
        (_unstacked, "GRU"),
        (_unstacked, "SimpleRNN"),
        (_time_major, "GRU"),
        (_keras_ops, "LSTM"),
    ],
)
def test_a_plain_chain_is_one_layer(form: Any, kind: str, tmp_path: Path) -> None:
    artifact = _export(tmp_path, form, getattr(L, f"{kind}Cell")(4))
    op = "RNN" if kind == "SimpleRNN" else kind
    assert (ops(artifact)[op], ops(artifact)["Concat"]) == (1, STATES)
    assert not cut(artifact)
    assert lowerings(artifact) == [op]


def test_a_length_that_the_code_names_is_fixed(tmp_path: Path) -> None:
    artifact = _export(tmp_path, _unstacked, L.LSTMCell(4))
    assert shapes(artifact) == [["B", STEPS, 3]]
    (fixed,) = artifact.manifest.fixed_axes
    assert (fixed.input, fixed.axis, fixed.size) == ("x", 1, STEPS)
    assert "stepped" in fixed.layer
    assert fixed.reason


def test_two_stacked_cells(tmp_path: Path) -> None:
    def body(cells: Any, x: Any) -> Any:
        one, two = cells
        first, second = _zeros(x, one, two)
        outputs = []
        for t in range(STEPS):
            y, first = one(x[:, t], first)
            y, second = two(y, second)
            outputs.append(y)
        return tf.stack(outputs, axis=1)

    artifact = _export(tmp_path, body, L.LSTMCell(4), L.GRUCell(5))
    assert (ops(artifact)["LSTM"], ops(artifact)["GRU"]) == (1, 1)
    assert ops(artifact)["Concat"] == 2 * STATES
    assert not cut(artifact)


def test_feedback_is_not_fused(tmp_path: Path) -> None:
    """Every step takes the output of the one before as its input."""

    def body(cells: Any, x: Any) -> Any:
        cell, dense = cells
        (states,) = _zeros(x, cell)
        fed, outputs = x[:, 0], []
        for _ in range(STEPS):
            y, states = cell(fed, states)
            fed = dense(y)
            outputs.append(fed)
        return tf.stack(outputs, axis=1)

    artifact = _export(tmp_path, body, L.LSTMCell(4), L.Dense(3))
    assert ops(artifact)["LSTM"] == STEPS


def test_a_c_that_is_read_outside_is_not_fused(tmp_path: Path) -> None:
    def body(cells: Any, x: Any) -> Any:
        (cell,) = cells
        (states,) = _zeros(x, cell)
        kept = []
        for t in range(STEPS):
            _, states = cell(x[:, t], states)
            kept.append(states[1])
        return tf.stack(kept, axis=1)

    artifact = _export(tmp_path, body, L.LSTMCell(4))
    assert ops(artifact)["LSTM"] == STEPS


def test_a_gru_state_that_is_read_outside_is_its_output(tmp_path: Path) -> None:
    def body(cells: Any, x: Any) -> Any:
        (cell,) = cells
        (states,) = _zeros(x, cell)
        total = 0.0
        for t in range(STEPS):
            _, states = cell(x[:, t], states)
            total += keras.tree.flatten(states)[0]
        return total

    assert ops(_export(tmp_path, body, L.GRUCell(4)))["GRU"] == 1


def test_a_part_of_the_sequence(tmp_path: Path) -> None:
    def body(cells: Any, x: Any) -> Any:
        (cell,) = cells
        (states,) = _zeros(x, cell)
        for t in range(2, 5):
            y, states = cell(x[:, t], states)
        return y

    artifact = _export(tmp_path, body, L.LSTMCell(4), steps=8)
    assert (ops(artifact)["LSTM"], ops(artifact)["Concat"]) == (1, STATES)
    assert ops(artifact)["Gather"] == 1
    assert not cut(artifact)


def test_a_sequence_that_is_too_short_is_refused(tmp_path: Path) -> None:
    """As in TensorFlow, and not run on the steps that are there."""
    artifact = _export(tmp_path, _last, L.LSTMCell(4))
    assert shapes(artifact) == [["B", "T", 3]]
    runner = rnnport.load(artifact)
    assert np.array_equal(runner.run(normal(2, 9, 3)), runner.run(normal(2, 9, 3)[:, :STEPS]))
    with pytest.raises(InputError, match="indices element out of data bounds"):
        runner.run(normal(2, STEPS - 1, 3))


def test_backwards_and_with_gaps(tmp_path: Path) -> None:
    """No stretch of consecutive steps: they are stacked, and still one layer."""

    def body(cells: Any, x: Any) -> Any:
        (cell,) = cells
        (states,) = _zeros(x, cell)
        for t in (5, 3, 1):
            y, states = cell(x[:, t], states)
        return y

    artifact = _export(tmp_path, body, L.GRUCell(4))
    assert (ops(artifact)["GRU"], ops(artifact)["Concat"]) == (1, 1 + STATES)


def test_outputs_of_single_steps(tmp_path: Path) -> None:
    def body(cells: Any, x: Any) -> Any:
        (cell,) = cells
        (states,) = _zeros(x, cell)
        outputs = []
        for t in range(STEPS):
            y, states = cell(x[:, t], states)
            outputs.append(y)
        return {"second": outputs[1], "last": outputs[-1], "sum": outputs[0] + outputs[2]}

    assert ops(_export(tmp_path, body, L.LSTMCell(4)))["LSTM"] == 1


def test_two_runs_of_one_cell(tmp_path: Path) -> None:
    """The same weights over two stretches: two layers, the weights stored once."""

    def body(cells: Any, x: Any) -> Any:
        (cell,) = cells
        ends = []
        for stretch in (range(3), range(3, 6)):
            (states,) = _zeros(x, cell)
            for t in stretch:
                y, states = cell(x[:, t], states)
            ends.append(y)
        return ends

    assert ops(_export(tmp_path, body, L.GRUCell(4)))["GRU"] == 2
