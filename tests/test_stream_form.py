"""Which models stream, which do not and who is to blame; every export proves it in chunks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.errors import NotStreamable
from rnnport.spec import Form
from tests.tiny_keras import lively

L = keras.layers
Build = Callable[[], Any]


def seq(*layers: Any) -> Any:
    return keras.Sequential([keras.Input((None, 5), name="x"), *layers])


def ids(*layers: Any) -> Any:
    return keras.Sequential([keras.Input((None,), dtype="int32", name="ids"), *layers])


def conditioned() -> Any:
    """The start comes from an input that the whole stream shares."""
    x, cond = keras.Input((None, 5), name="x"), keras.Input((7,), name="cond")
    start = [L.Dense(6)(cond), L.Dense(6)(cond)]
    y = L.LSTM(6, return_sequences=True, name="lstm")(x, initial_state=start)
    return keras.Model([x, cond], L.Dense(3)(y))


def given_states() -> Any:
    x = keras.Input((None, 5), name="x")
    h, c = keras.Input((6,), name="h0"), keras.Input((6,), name="c0")
    lstm = L.LSTM(6, return_sequences=True, return_state=True, name="lstm")
    return keras.Model([x, h, c], list(lstm(x, initial_state=[h, c])))


def fixed_input() -> Any:
    x, cond = keras.Input((None, 5), name="x"), keras.Input((7,), name="cond")
    return keras.Model([x, cond], L.Dense(3)(L.Concatenate()([L.GRU(6, name="gru")(x), cond])))


def shared_sequence() -> Any:
    """A sequence of fixed length, read anew from both ends and pooled, beside the streamed one."""
    x, source = keras.Input((None, 5), name="x"), keras.Input((7, 4), name="source")
    read = L.Bidirectional(L.GRU(3, return_sequences=True, name="read"))(source)
    start = L.Dense(6)(L.Concatenate()([L.Flatten()(read), L.GlobalAveragePooling1D()(read)]))
    return keras.Model([x, source], L.GRU(6, name="gru")(x, initial_state=start))


def unread_sequence() -> Any:
    x, unread = keras.Input((5,), name="x"), keras.Input((None,), dtype="bool", name="unread")
    return keras.Model([x, unread], L.Dense(3)(x))


def two_sequences() -> Any:
    a, b = keras.Input((None, 5), name="a"), keras.Input((None, 4), name="b")
    both = L.Concatenate()([L.LSTM(6, name="one")(a), L.GRU(3, name="two")(b)])
    return keras.Model({"a": a, "b": b}, {"u": L.Dense(2)(both)})


def shared() -> Any:
    x, layer = keras.Input((None, 5), name="x"), L.GRU(5, return_sequences=True, name="gru")
    return keras.Model(x, layer(layer(x)))


def own_start() -> Any:
    """A state made in the call, other than zero."""

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.gru = L.GRU(4, return_sequences=True, name="gru")
            self.zero = L.GRU(4, return_sequences=True, name="zero")

        def call(self, x: Any) -> Any:
            size = keras.ops.shape(x)[0], 4
            y = self.gru(x, initial_state=0.5 * keras.ops.ones(size))
            return self.zero(y, initial_state=keras.ops.zeros(size))

    model = Own()
    model(np.zeros((2, 3, 5), np.float32))
    return model


def cell(made: Any) -> Any:
    made.build((None, 5))
    return made


def one_step() -> Any:
    gru, dense = cell(L.GRUCell(4, name="gru")), L.Dense(2)
    dense.build((None, 4))

    @tf.function(input_signature=[tf.TensorSpec([None, 5]), tf.TensorSpec([None, 4])])
    def step(x: Any, h: Any) -> Any:
        y, states = gru(x, [h])
        return dense(y), states[0]

    return step


STREAMS: dict[str, tuple[Build, list[str], list[str]]] = {
    "LSTM": (
        lambda: seq(L.LSTM(6, return_sequences=True, name="a"), L.Dense(3)),
        ["a_h", "a_c"],
        [],
    ),
    "last output only": (
        lambda: ids(L.Embedding(50, 8), L.GRU(6, name="a"), L.Dense(3)),
        ["a_h"],
        [],
    ),
    "mixed kinds under a mask": (
        lambda: ids(
            L.Embedding(50, 8, mask_zero=True),
            L.SimpleRNN(4, return_sequences=True, name="s"),
            L.LSTM(6, return_sequences=True, name="l"),
            L.GRU(5, return_sequences=True, name="g"),
        ),
        ["s_h", "l_h", "l_c", "g_h"],
        [],
    ),
    "masked outputs zeroed": (
        lambda: seq(
            L.Masking(), L.LSTM(6, return_sequences=True, zero_output_for_mask=True, name="a")
        ),
        ["a_h", "a_c"],
        [],
    ),
    "stacked cells": (
        lambda: seq(L.Masking(), L.RNN(L.StackedRNNCells([L.LSTMCell(4), L.GRUCell(5)]), name="r")),
        ["r_cell0_h", "r_cell0_c", "r_cell1_h"],
        [],
    ),
    "causal convolutions": (
        lambda: seq(
            L.Conv1D(8, 3, dilation_rate=2, padding="causal", activation="relu", name="wide"),
            L.Conv1D(8, 4, padding="causal", name="plain", groups=2),
            L.GRU(6, return_sequences=True, name="a"),
        ),
        ["wide_context", "plain_context", "a_h"],
        [],
    ),
    "zeros in front": (
        lambda: seq(
            L.ZeroPadding1D((2, 0), name="p"),
            L.DepthwiseConv1D(3),
            L.ZeroPadding1D((3, 0), name="q"),
            L.SeparableConv1D(6, 4),
            L.LSTM(4, name="a"),
        ),
        ["p_context", "q_context", "a_h", "a_c"],
        [],
    ),
    "mean over time": (
        lambda: seq(L.Conv1D(4, 3, padding="causal", name="c"), L.GlobalAveragePooling1D(name="m")),
        ["c_context", "m_sum", "m_count"],
        [],
    ),
    "masked mean over time": (
        lambda: seq(
            L.Masking(),
            L.GRU(8, return_sequences=True, name="a"),
            L.GlobalAveragePooling1D(name="m"),
        ),
        ["a_h", "m_sum", "m_count"],
        [],
    ),
    "maximum over time": (
        lambda: seq(
            L.LSTM(8, return_sequences=True, name="a"),
            L.GlobalMaxPooling1D(keepdims=True, name="m"),
        ),
        ["a_h", "a_c", "m_max", "m_count"],
        [],
    ),
    "no fused operator": (
        lambda: seq(L.LSTM(4, activation="gelu", return_sequences=True, name="a")),
        ["a_h", "a_c"],
        [],
    ),
    "stateful, batch and length fixed in Keras": (
        lambda: keras.Sequential(
            [keras.Input(batch_shape=(4, 6, 5)), L.LSTM(6, stateful=True, name="a"), L.Dense(3)]
        ),
        ["a_h", "a_c"],
        [],
    ),
    "start from another input": (
        conditioned,
        ["lstm_started", "lstm_h", "lstm_c"],
        ["cond"],
    ),
    "start given": (given_states, ["lstm_h", "lstm_c"], []),
    "start made in the call": (own_start, ["gru_started", "gru_h", "zero_h"], []),
    "an input for the whole stream": (fixed_input, ["gru_h"], ["cond"]),
    "a sequence for the whole stream": (shared_sequence, ["gru_started", "gru_h"], ["source"]),
    "two sequences": (two_sequences, ["one_h", "one_c", "two_h"], []),
    "a layer called twice": (shared, ["gru_h", "gru_2_h"], []),
    "nothing to carry": (lambda: seq(L.Dense(3)), [], []),
    "a bare cell": (lambda: cell(L.LSTMCell(4, name="a")), ["a_h", "a_c"], []),
    "stacked bare cells": (
        lambda: cell(L.StackedRNNCells([L.LSTMCell(4), L.SimpleRNNCell(3)], name="s")),
        ["s_cell0_h", "s_cell0_c", "s_cell1_h"],
        [],
    ),
    "a one-step function": (one_step, ["gru_h"], []),
}


def export(model: Any, folder: Path) -> Artifact:
    keras.utils.set_random_seed(3)
    if isinstance(model, keras.layers.Layer):
        lively(model, seed=2)
    return rnnport.export(model, folder / "out")


def stream_form(artifact: Artifact) -> Form:
    assert artifact.manifest.streamable.ok, artifact.manifest.streamable
    return artifact.manifest.forms["stream"]


@pytest.mark.parametrize("label", STREAMS)
def test_streams(label: str, tmp_path: Path) -> None:
    build, states, fixed = STREAMS[label]
    artifact = export(build(), tmp_path)
    form = stream_form(artifact)
    assert [state.name for state in form.states] == states
    assert form.fixed == fixed
    rows = [check for check in artifact.manifest.parity if check.name.startswith("stream")]
    assert rows
    assert all(check.passed for check in rows)
    proto = onnx.load(artifact.forms["stream"])
    taken = [value.name for value in proto.graph.input]
    given = [value.name for value in proto.graph.output]
    assert taken == [*(p.name for p in form.inputs), *(s.input for s in form.states)]
    assert given == [*(p.name for p in form.outputs), *(s.output for s in form.states)]
    by_input = sorted(form.states, key=lambda s: s.input)
    assert by_input == sorted(form.states, key=lambda s: s.output)
    assert not {"Loop", "If"} & set(form.op_counts)
    assert ("Scan" in form.op_counts) == (label == "no fused operator")


def handed_over() -> Any:
    x = keras.Input((None, 5), name="x")
    y, *states = L.LSTM(6, return_sequences=True, return_state=True, name="enc")(x)
    return keras.Model(x, L.LSTM(6, name="dec")(y, initial_state=states))


def attending(causal: bool) -> Build:
    def build() -> Any:
        x = keras.Input((None, 5), name="x")
        y = L.LSTM(6, return_sequences=True)(x)
        return keras.Model(x, L.Attention(name="att")([y, y], use_causal_mask=causal))

    return build


REFUSED: dict[str, tuple[Build, str, str]] = {
    "bidirectional": (
        lambda: seq(L.GRU(4, return_sequences=True), L.Bidirectional(L.GRU(6), name="both")),
        "both",
        "Bidirectional reads the sequence from its end",
    ),
    "backwards": (
        lambda: seq(L.GRU(4, go_backwards=True, name="back")),
        "back",
        "GRU reads the sequence from its end",
    ),
    "a convolution that sees both sides": (
        lambda: seq(L.Conv1D(4, 3, padding="same", name="wide"), L.GRU(4, return_sequences=True)),
        "wide",
        "Conv1D looks ahead: its output at a step changes with later steps",
    ),
    "strides": (
        lambda: seq(
            L.Conv1D(4, 3, strides=2, padding="causal", name="half"),
            L.GRU(4, return_sequences=True),
        ),
        "half",
        "Conv1D gives 12 steps for 23",
    ),
    "flattened": (
        lambda: keras.Sequential(
            [
                keras.Input((8, 5)),
                L.GRU(4, return_sequences=True),
                L.Flatten(),
                L.Dense(2, name="head"),
            ]
        ),
        "head",
        "the length is fixed at 8: ",
    ),
    "attention": (
        attending(False),
        "att",
        "Attention looks ahead: its output at a step changes with later steps",
    ),
    "causal attention": (
        attending(True),
        "att",
        "Attention needs earlier steps, which the stream form does not carry for it",
    ),
    "handed over": (
        handed_over,
        "dec",
        "its initial state is made from what layer 'enc' gives at the end",
    ),
    "frames of open size": (
        lambda: keras.Sequential(
            [
                keras.Input((None, None, 5), name="frames"),
                L.TimeDistributed(L.GlobalAveragePooling1D()),
                L.GRU(4, return_sequences=True),
            ]
        ),
        "",
        "axis 2 of input 'frames' is open beside its time; with one size there",
    ),
    "no time axis": (
        lambda: keras.Sequential([keras.Input((5,)), L.Dense(3)]),
        "",
        "no input has a time axis",
    ),
    "nothing reads the sequence": (
        unread_sequence,
        "",
        "no output depends on an input with a time axis",
    ),
}


@pytest.mark.parametrize("label", REFUSED)
def test_does_not_stream(label: str, tmp_path: Path) -> None:
    build, layer, reason = REFUSED[label]
    artifact = export(build(), tmp_path)
    verdict = artifact.manifest.streamable
    assert (verdict.ok, verdict.layer) == (False, layer)
    assert verdict.reason.startswith(reason)
    assert "stream" not in artifact.manifest.forms
    assert not (artifact.path / "stream.onnx").exists()
    with pytest.raises(NotStreamable, match=layer or "model"):
        rnnport.load(artifact).stepper()


def test_inner_sequences_start_anew(tmp_path: Path) -> None:
    """TimeDistributed(LSTM) has a state, but none that outlives a step."""
    inner = keras.Sequential(
        [
            keras.Input((None, 3, 5)),
            L.TimeDistributed(L.LSTM(4, name="inner")),
            L.GRU(4, return_sequences=True, name="outer"),
        ]
    )
    form = stream_form(export(inner, tmp_path))
    assert [state.name for state in form.states] == ["outer_h"]


def test_a_bare_cell_takes_chunks_and_starts(tmp_path: Path) -> None:
    made = cell(L.LSTMCell(4, name="a"))
    form = stream_form(rnnport.export(made, tmp_path / "out"))
    assert [port.shape for port in form.inputs] == [["B", "T", 5]]
    assert [port.shape for port in form.outputs] == [["B", "T", 4]]
    assert [(s.start, s.end) for s in form.states] == [("h_in", "h_out"), ("c_in", "c_out")]


def test_a_one_step_function_hands_its_state_on(tmp_path: Path) -> None:
    form = stream_form(rnnport.export(one_step(), tmp_path / "out"))
    assert [port.shape for port in form.inputs] == [["B", 5]]
    assert [port.shape for port in form.outputs] == [["B", 2]]
    assert [(s.start, s.end) for s in form.states] == [("h", "output_1")]


def test_a_normalised_mean_does_not_show_how_it_was_summed(tmp_path: Path) -> None:
    """Means that lie close together: the normalisation makes thirty times as much of a last bit."""
    x = keras.Input((None, 4))
    y = L.GlobalAveragePooling1D()(L.GRU(5, activation="hard_sigmoid", return_sequences=True)(x))
    model = lively(keras.Model(x, L.LayerNormalization()(y)))
    for weight in model.trainable_weights[:3]:
        weight.assign(0.02 * weight)
    artifact = rnnport.export(model, tmp_path / "out")
    assert artifact.manifest.streamable.ok, artifact.manifest.streamable
    streamed = [c.error for c in artifact.manifest.parity if c.name.startswith("stream")]
    assert streamed
    assert max(streamed) <= 3e-7
