"""Rows T1 to T7 of the mission table: equal to the session at untraced sizes, and fused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnport
from rnnport.artifact.load import Artifact
from tests.tf1.conftest import legacy

# Loops that are more than a cell run over a sequence.
LEFT = [
    "t6_raw_fed_back",
    "t6_raw_scaled",
    "t6_raw_reversed",
    "t6_raw_read_and_fed_back",
    "t6_raw_stops_by_its_output",
    "t6_raw_silent_after_two_steps",
]
# Operators of model.onnx; whether it streams.
ROWS: dict[str, tuple[dict[str, int], bool]] = {
    "t1_basic_rnn_by_hand": ({"RNN": 1}, False),
    "t1_basic_rnn": ({"RNN": 1}, True),
    "t1_time_major": ({"RNN": 1}, True),
    "t1_initial_state": ({"RNN": 1}, True),
    "t2_basic_lstm": ({"LSTM": 1}, True),
    "t2_state_tuple_in": ({"LSTM": 1}, True),
    "t2_concatenated_state": ({"LSTM": 1}, True),
    "t2_peepholes": ({"LSTM": 1}, True),
    "t2_peepholes_lengths": ({"LSTM": 1}, False),
    "t2_peepholes_scanned": ({"Scan": 1}, False),
    "t2_peepholes_bidirectional": ({"LSTM": 1}, False),
    "t2_peepholes_one_sided": ({"LSTM": 2}, False),
    "t2_projection_and_clipping": ({"Scan": 1}, True),
    "t2_cell_clip": ({"Scan": 1}, True),
    "t2_projection_state_in": ({"Scan": 1}, False),
    "t2_projection_of_a_wide_input": ({"Scan": 1}, False),
    "t2_projection_bidirectional": ({"Scan": 2}, False),
    "t2_projection_one_sided": ({"GRU": 1, "Scan": 1}, False),
    "t3_gru": ({"GRU": 1}, True),
    "t3_gru_lengths": ({"GRU": 1}, False),
    "t4_two_lstm": ({"LSTM": 2}, True),
    "t4_two_gru": ({"GRU": 2}, False),
    "t4_projection_among_standard_cells": ({"LSTM": 1, "GRU": 2, "Scan": 1}, False),
    "t5_dropout": ({"LSTM": 1, "GRU": 1}, True),
    "t5_residual": ({"GRU": 1, "LSTM": 1, "RNN": 1}, False),
    "t5_device": ({"LSTM": 1}, True),
    "t5_residual_function": ({"LSTM": 1, "Scan": 1}, False),
    "t5_embedding_wrapper": ({"GRU": 1, "Scan": 1}, True),
    "t5_input_and_output_projection": ({"LSTM": 1, "Scan": 1}, False),
    "t5_dropout_around_projection": ({"GRU": 1, "Scan": 1}, True),
    "t6_static": ({"LSTM": 1}, True),
    "t6_static_lengths": ({"GRU": 1}, False),
    "t6_static_bidirectional": ({"LSTM": 1}, False),
    "t6_state_saving": ({"GRU": 1}, False),
    "t6_bidirectional": ({"LSTM": 1}, False),
    "t6_bidirectional_lengths": ({"GRU": 1}, False),
    "t6_stack_bidirectional": ({"LSTM": 4}, False),
    "t6_raw": ({"LSTM": 1}, False),
    "t6_static_custom": ({"Scan": 1}, False),
    "t6_static_bidirectional_custom": ({"Scan": 2}, False),
    "t6_state_saving_custom": ({"Scan": 1}, False),
    "t6_raw_custom": ({"Scan": 1}, False),
    "t6_custom_by_hand": ({}, False),
    "t6_raw_guarded_the_other_way": ({"GRU": 1}, False),
    "t6_raw_begins_in_any_case": ({"GRU": 1}, False),
    **dict.fromkeys(LEFT, ({"Loop": 1, "If": 2}, False)),
    "t6_raw_fed_back": ({"Loop": 1}, False),
    "t7_nas_cell": ({"Scan": 1}, True),
    "t7_nas_cell_lengths": ({"Scan": 1}, False),
    "t7_ugrnn_cell": ({"Scan": 1}, True),
    "t7_glstm_cell": ({"Scan": 1}, True),
    "t7_grid_lstm_cell": ({"Scan": 1}, True),
    "t7_grid_lstm_cell_lengths": ({"Scan": 1}, False),
    "t7_bidirectional_grid_lstm_cell": ({"Scan": 1}, True),
    "t7_stack_with_a_standard_cell": ({"LSTM": 1, "Scan": 2}, True),
}
NOTES = {
    "t5_dropout_around_projection": [
        "DropoutWrapper around ResidualWrapper: left out, as in inference"
    ],
    "t6_custom_by_hand": ["no recurrent layer was found; everything was converted by tf2onnx"],
}
LOOPS = ("LSTM", "GRU", "RNN", "Scan", "Loop", "If")


def flat(nest: Any) -> list[np.ndarray[Any, Any]]:
    if isinstance(nest, dict):
        return [y for key in sorted(nest) for y in flat(nest[key])]
    if isinstance(nest, (list, tuple)):
        return [y for item in nest for y in flat(item)]
    return [nest]


def answers(folder: Path, row: str) -> list[tuple[list[Any], list[Any]]]:
    found = []
    for path in sorted(folder.glob(f"{row}.*.npz")):
        with np.load(path) as kept:
            inputs = [kept[k] for k in kept.files if k.startswith("in")]
            found.append((inputs, [kept[k] for k in kept.files if k.startswith("out")]))
    assert found, (folder / f"{row}.error").read_text()
    return found


def opened(folder: Path, row: str) -> Artifact:
    error = folder / f"{row}.error"
    assert not error.exists(), error.read_text()
    return rnnport.open(folder / row)


@pytest.mark.parametrize("row", ROWS)
def test_row_equals_the_session(exported: Path, row: str) -> None:
    runner = rnnport.load(opened(exported, row), provider="cpu")
    for inputs, expected in answers(exported, row):
        received = flat(runner.run(*inputs))
        assert len(received) == len(expected)
        for r, e in zip(received, expected, strict=True):
            assert r.shape == e.shape
            assert np.abs(e).max() > 1e-3
            np.testing.assert_allclose(r, e, rtol=0, atol=1e-5)


@pytest.mark.parametrize("row", ROWS)
def test_row_is_fused(exported: Path, row: str) -> None:
    manifest = opened(exported, row).manifest
    expected, streams = ROWS[row]
    counts = manifest.forms["model"].op_counts
    assert {op: counts[op] for op in LOOPS if op in counts} == expected
    assert manifest.streamable.ok == streams, manifest.streamable.reason
    assert manifest.source["kind"] == "TensorFlow 1 code"
    assert manifest.source["framework"].startswith("tensorflow 2.")
    assert manifest.notes == NOTES.get(row, [])
    left = "tf2onnx" in [layer.lowering for layer in manifest.layers]
    assert left == (row in LEFT)


@pytest.mark.parametrize("row", [row for row, (_, streams) in ROWS.items() if streams])
def test_row_streams_from_the_sessions_start(exported: Path, row: str) -> None:
    """Fed in uneven pieces from a zero state, where the row starts from one."""
    if row in ("t1_initial_state", "t2_state_tuple_in"):
        return  # their start is handed in; tests of the stepper cover that
    stepper = rnnport.load(exported / row, provider="cpu").stepper(batch_size=3)
    (x,), expected = answers(exported, row)[0]
    if expected[0].ndim == 2:
        np.testing.assert_allclose(flat(stepper.feed(x))[0], expected[0], rtol=0, atol=1e-5)
        return
    pieces = [flat(stepper.feed(x[:, a:b]))[0] for a, b in ((0, 1), (1, 6), (6, 13))]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), expected[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("row", LEFT)
def test_a_raw_loop_that_does_more_stays_one(exported: Path, row: str) -> None:
    (layer,) = opened(exported, row).manifest.layers
    assert layer.reason == "raw_rnn's function does more than run the cell over a sequence"


@pytest.mark.parametrize("row", ["t2_peepholes_lengths", "t6_raw", "t7_nas_cell_lengths"])
def test_lengths_are_why_a_row_does_not_stream(exported: Path, row: str) -> None:
    streamable = opened(exported, row).manifest.streamable
    assert streamable.layer == "rnn"
    assert streamable.reason == "lengths say where each row ends, which a stream cannot know"


def test_the_product_of_a_wide_input_is_done_for_all_steps_at_once(exported: Path) -> None:
    hoisted = "MatMul on the input alone done for all steps at once"
    (wide,) = opened(exported, "t2_projection_of_a_wide_input").manifest.layers
    assert wide.reason == f"LSTMCell has no formula of its own in ONNX; {hoisted}"
    (narrow,) = opened(exported, "t2_projection_and_clipping").manifest.layers
    assert hoisted not in narrow.reason


def test_cells_of_a_stack_are_reported_one_by_one(exported: Path) -> None:
    layers = opened(exported, "t7_stack_with_a_standard_cell").manifest.layers
    assert [(x.name, x.kind, x.lowering) for x in layers] == [
        ("rnn_cell0", "UGRNNCell", "Scan"),
        ("rnn_cell1", "LSTMCell", "LSTM"),
        ("rnn_cell2", "NASCell", "Scan"),
    ]


def test_the_last_step_of_a_static_loop_takes_any_length(exported: Path) -> None:
    (port,) = opened(exported, "t6_static").manifest.forms["model"].inputs
    assert port.shape == ["B", "T", 6]
    (fixed,) = opened(exported, "t6_static_bidirectional").manifest.fixed_axes
    assert (fixed.axis, fixed.size) == (1, 6)


def test_a_script_that_switches_version_two_off(tmp_path: Path) -> None:
    code = f"""
import tensorflow.compat.v1 as tf
tf.disable_v2_behavior()
import rnnport
def model(i, n):
    table = tf.get_variable("table", [50, 4])
    cell = tf.nn.rnn_cell.MultiRNNCell([tf.nn.rnn_cell.LSTMCell(6), tf.nn.rnn_cell.GRUCell(5)])
    x = tf.nn.embedding_lookup(table, i)
    assert x.shape[2].value == 4
    return tf.nn.dynamic_rnn(cell, x, sequence_length=n, dtype=tf.float32)
signature = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)]
rnnport.export(model, {str(tmp_path / "out")!r}, input_signature=signature)
"""
    done = legacy("-c", code)
    assert done.returncode == 0, done.stderr[-2000:]
    manifest = rnnport.open(tmp_path / "out").manifest
    ids, _ = manifest.forms["model"].inputs
    assert (ids.shape, ids.sampling and ids.sampling.high) == (["B", "T"], 50)
    counts = manifest.forms["model"].op_counts
    assert {op: counts[op] for op in LOOPS if op in counts} == {"LSTM": 1, "GRU": 1}


def test_a_row_of_length_zero_keeps_its_state_and_gives_zeros(exported: Path) -> None:
    runner = rnnport.load(exported / "t3_gru_lengths", provider="cpu")
    x = np.ones((2, 5, 6), np.float32)
    y, h = runner.run(x, np.array([0, 5], np.int32))
    assert not y[0].any()
    assert not h[0].any()
    assert y[1].any()
