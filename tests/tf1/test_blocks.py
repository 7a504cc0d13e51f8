"""Row T3: TensorFlow's fused recurrent operations, which only frozen graphs still hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import rnnport

v1 = tf.compat.v1
F, U = 3, 5
SEQUENCE = tf.TensorSpec([None, None, F], tf.float32)
STEP = tf.TensorSpec([None, F], tf.float32)
STATE = tf.TensorSpec([None, U], tf.float32)
_RNG = np.random.default_rng(4)
W, B = (_RNG.standard_normal(s).astype(np.float32) for s in ((F + U, 4 * U), (4 * U,)))
PEEP = [_RNG.standard_normal(U).astype(np.float32) for _ in range(3)]
GRU = [
    _RNG.standard_normal(s).astype(np.float32) for s in ((F + U, 2 * U), (F + U, U), (2 * U,), (U,))
]


def held(code: Callable[..., Any], signature: list[Any], folder: Path, shapes: Any) -> Any:
    """Export, and compare with the session on fresh inputs of every shape."""
    artifact = rnnport.export(code, folder / "out", input_signature=signature)
    runner = rnnport.load(artifact, provider="cpu")
    with tf.Graph().as_default(), v1.Session() as session:
        feeds = [v1.placeholder(s.dtype, s.shape) for s in signature]
        outputs = tf.nest.flatten(code(*feeds))
        for sizes in shapes:
            given = [_RNG.standard_normal(s).astype(np.float32) for s in sizes]
            expected = session.run(outputs, dict(zip(feeds, given, strict=True)))
            received = runner.run(*given)
            received = received if isinstance(received, tuple) else (received,)
            for r, e in zip(received, expected, strict=True):
                assert np.abs(e).max() > 1e-2
                np.testing.assert_allclose(r, e, rtol=0, atol=1e-5)
    return artifact


def test_t3_gru_block_cell(tmp_path: Path) -> None:
    def step(x: Any, h: Any) -> Any:
        w_ru, w_c, b_ru, b_c = GRU
        return tuple(tf.raw_ops.GRUBlockCell(x=x, h_prev=h, w_ru=w_ru, w_c=w_c, b_ru=b_ru, b_c=b_c))

    held(step, [STEP, STATE], tmp_path, [[(2, F), (2, U)], [(7, F), (7, U)]])


@pytest.mark.parametrize("peephole", [False, True])
@pytest.mark.parametrize("clip", [-1.0, 0.3])
def test_t3_lstm_block_cell(peephole: bool, clip: float, tmp_path: Path) -> None:
    def step(x: Any, c: Any, h: Any) -> Any:
        wci, wcf, wco = PEEP
        y = tf.raw_ops.LSTMBlockCell(
            x=x, cs_prev=c, h_prev=h, w=W, wci=wci, wcf=wcf, wco=wco, b=B,
            forget_bias=0.7, cell_clip=clip, use_peephole=peephole,
        )  # fmt: skip
        return y.cs, y.h

    shapes = [[(2, F), (2, U), (2, U)], [(7, F), (7, U), (7, U)]]
    held(step, [STEP, STATE, STATE], tmp_path, shapes)


def block(x: Any, c: Any, h: Any, version: int, clip: float, peephole: bool, limit: Any) -> Any:
    wci, wcf, wco = PEEP
    given = {"seq_len_max": limit, "x": x, "cs_prev": c, "h_prev": h, "w": W, "b": B}
    given |= {"wci": wci, "wcf": wcf, "wco": wco, "cell_clip": clip, "use_peephole": peephole}
    if version == 1:
        return tf.raw_ops.BlockLSTM(**given, forget_bias=0.7)
    return tf.raw_ops.BlockLSTMV2(**given)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("peephole", [False, True])
@pytest.mark.parametrize("clip", [-1.0, 0.3])
def test_t3_block_lstm_with_every_output(
    version: int, peephole: bool, clip: float, tmp_path: Path
) -> None:
    def code(x: Any, c: Any, h: Any) -> Any:
        x = tf.transpose(x, [1, 0, 2])
        limit = tf.cast(tf.shape(x)[0], tf.int64)
        answers = block(x, c, h, version, clip, peephole, limit)
        return tuple(tf.transpose(y, [1, 0, 2]) for y in answers)

    shapes = [[(2, 4, F), (2, U), (2, U)], [(5, 17, F), (5, U), (5, U)]]
    manifest = held(code, [SEQUENCE, STATE, STATE], tmp_path, shapes).manifest
    assert manifest.forms["model"].op_counts["Scan"] == 1
    (layer,) = manifest.layers
    reason = f"BlockLSTM {'clips its cell state' if clip > 0 else 'gives more than its output'}"
    assert (layer.kind, layer.units, layer.lowering) == ("BlockLSTM", [U], "Scan")
    assert layer.reason == reason
    assert manifest.streamable.reason == f"{reason}; its state stays inside the graph"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("peephole", [False, True])
def test_t3_block_lstm_is_fused_where_h_is_all_that_is_read(
    version: int, peephole: bool, tmp_path: Path
) -> None:
    def code(x: Any) -> Any:
        x = tf.transpose(x, [1, 0, 2])
        zero = tf.zeros([tf.shape(x)[1], U])
        limit = tf.cast(tf.shape(x)[0], tf.int64)
        answers = block(x, zero, zero, version, -1.0, peephole, limit)
        return tf.transpose(answers.h, [1, 0, 2])

    artifact = held(code, [SEQUENCE], tmp_path, [[(2, 4, F)], [(5, 17, F)]])
    counts = artifact.manifest.forms["model"].op_counts
    assert counts["LSTM"] == 1
    assert not {"Scan", "Loop"} & set(counts)
    assert artifact.manifest.streamable.ok, artifact.manifest.streamable.reason


def test_t3_block_lstm_of_a_frozen_graph(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, None, F], name="x")
        swapped = tf.transpose(x, [1, 0, 2])
        zero = tf.zeros([tf.shape(x)[0], U])
        limit = tf.cast(tf.shape(x)[1], tf.int64)
        y = block(swapped, zero, zero, 1, -1.0, True, limit).h
        y = tf.transpose(y, [1, 0, 2], name="y")
        tf.io.write_graph(graph.as_graph_def(), str(tmp_path), "block.pb", as_text=False)
        given = _RNG.standard_normal((4, 9, F)).astype(np.float32)
        with v1.Session() as session:
            expected = session.run(y, {x: given})
    artifact = rnnport.export(tmp_path / "block.pb", tmp_path / "out")
    assert artifact.manifest.notes == []
    assert artifact.manifest.forms["model"].op_counts["LSTM"] == 1
    received = rnnport.load(artifact, provider="cpu").run(given)
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-5)


def test_t3_block_lstm_stops_after_some_steps(tmp_path: Path) -> None:
    def code(x: Any) -> Any:
        x = tf.transpose(x, [1, 0, 2])
        zero = tf.zeros([tf.shape(x)[1], U])
        answers = block(x, zero, zero, 1, -1.0, False, tf.constant(3, tf.int64))
        return tf.transpose(answers.h, [1, 0, 2])

    held(code, [SEQUENCE], tmp_path, [[(2, 4, F)], [(5, 17, F)]])
