"""Cells of TensorFlow 1 that run by their own code: what is refused, and how they meet scripts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import rnnport
from tests.tf1.conftest import legacy


def test_refused_cells(tmp_path: Path) -> None:
    done = legacy("-m", "tests.tf1.refused_cells", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr[-2000:]
    effects = "a step without side effects"
    misfit = "states (B, 4), as state_size (or the initial state) says"
    agree = "let state_size and call agree"
    assert json.loads(done.stdout) == [
        [
            [
                "cell 'Noisy' of layer 'rnn'",
                "random numbers at inference (RandomStandardNormal)",
                "a step that inputs and states decide",
                "compute the same in every step, or move it out of the cell",
            ]
        ],
        [
            [
                "cell 'Writing' of layer 'rnn'",
                "variables written at inference (AssignAddVariableOp)",
                effects,
                "return what changes as one more state",
            ]
        ],
        [
            [
                "cell 'Counting' of layer 'rnn'",
                "Python attributes changed by one step: steps",
                effects,
                "carry what changes as one more state",
            ]
        ],
        [["cell 'Growing' of layer 'rnn'", "call returns states (B, 8)", misfit, agree]],
        [["cell 'Two' of layer 'rnn'", "call returns states (B, 4), (B, 4)", misfit, agree]],
        [["cell 'Growing' of layer 'rnn'", "call returns states (B, 8)", misfit, agree]],
    ]
    assert not (tmp_path / "out").exists()


NESTED = """
import sys
import numpy as np
import tensorflow.compat.v1 as tf
{switch}
import rnnport

class Grid(tf.nn.rnn_cell.RNNCell):
    # a nest of sequences in, a nest of outputs out, a state of two axes, nested beside another
    @property
    def state_size(self):
        return {{"map": tf.TensorShape([3, 2]), "sum": 4}}

    @property
    def output_size(self):
        return tf.TensorShape([3, 2]), 4

    def call(self, inputs, state):
        x, z = inputs
        w = tf.get_variable("w", [4, 6])
        grid = tf.tanh(tf.reshape(x @ w, [-1, 3, 2]) + state["map"])
        total = tf.sigmoid(state["sum"] * x + z)
        return (grid, total), {{"map": 0.5 * grid, "sum": total}}

class Plain:
    # no layer of TensorFlow's: it need only look like a cell
    state_size = output_size = 4
    def zero_state(self, batch, dtype):
        return tf.zeros([batch, 4], dtype)
    def __call__(self, x, h, scope=None):
        w = tf.get_variable("plain", [8, 4])
        h = tf.tanh(tf.concat([x, h], 1) @ w)
        return h, h

def model(x, z, n):
    y, s = tf.nn.dynamic_rnn(Grid(), (x, z), sequence_length=n, dtype=tf.float32)
    stack = tf.nn.rnn_cell.MultiRNNCell([Plain(), tf.nn.rnn_cell.GRUCell(4)])
    v, _ = tf.nn.dynamic_rnn(stack, x, dtype=tf.float32, scope="stack")
    return y[0], y[1], s["map"], s["sum"], v

whole = tf.TensorSpec([None, None, 4], tf.float32)
signature = [whole, whole, tf.TensorSpec([None], tf.int32)]
rnnport.export(model, sys.argv[1], input_signature=signature)
"""


def _nested(switch: str, folder: Path) -> None:
    done = legacy("-c", NESTED.format(switch=switch), str(folder))
    assert done.returncode == 0, done.stderr[-2000:]
    manifest = rnnport.open(folder).manifest
    counts = manifest.forms["model"].op_counts
    found = {op: counts[op] for op in ("GRU", "Scan", "Loop", "If") if op in counts}
    assert found == {"GRU": 1, "Scan": 2}
    assert [(x.kind, x.lowering) for x in manifest.layers if x.lowering == "Scan"] == [
        ("Grid", "Scan"),
        ("MultiRNNCell", "Scan"),
    ]
    golden = [check for check in manifest.parity if check.name.startswith("golden")]
    assert len({check.name for check in golden}) >= 2
    assert all(check.passed for check in golden)
    runner = rnnport.load(folder, provider="cpu")
    x = np.random.default_rng(1).standard_normal((2, 2, 9, 4)).astype(np.float32)
    grid, total, held, end, _ = runner.run(x[0], x[1], np.array([4, 0], np.int32))
    assert not grid[0, 4:].any()
    assert not total[1].any()
    np.testing.assert_array_equal(end[0], total[0, 3])
    np.testing.assert_array_equal(held[0], 0.5 * grid[0, 3])
    assert not held[1].any()


def test_nests_of_sequences_outputs_and_states(tmp_path: Path) -> None:
    _nested("", tmp_path / "out")


def test_cells_of_a_script_that_switches_version_two_off(tmp_path: Path) -> None:
    _nested("tf.disable_v2_behavior()", tmp_path / "out")
