"""The mission table, row by row: every model equal to TensorFlow at untraced sizes, and fused."""

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

L = keras.layers

Prove = Callable[..., Artifact]


@pytest.fixture
def prove(tmp_path: Path) -> Prove:
    """Export, compare with the live model at fresh sizes and masks, and count operators."""

    def run(model: Any, *, scan: int = 0, also: list[Any] | None = None, **fused: int) -> Artifact:
        keywords = fused.pop("export", {})
        artifact = rnnport.export(model, tmp_path / "out", overwrite=True, **keywords)
        ops = artifact.manifest.forms["model"].op_counts
        assert {k: ops.get(k, 0) for k in ("LSTM", "GRU", "RNN")} == {
            k: fused.get(k, 0) for k in ("LSTM", "GRU", "RNN")
        }
        assert ops.get("Scan", 0) == scan
        assert "Loop" not in ops
        signature = keywords.get("input_signature")
        report = rnnport.verify(artifact, model=model, input_signature=signature)
        assert report.passed, report.failures
        if also is not None:
            expected = keras.tree.flatten(model(*also, training=False))
            received = keras.tree.flatten(rnnport.load(artifact, provider="cpu").run(*also))
            for e, r in zip(expected, received, strict=True):
                np.testing.assert_allclose(r, e, atol=1e-5, rtol=1e-5)
        return artifact

    return run


def dynamic(artifact: Artifact) -> list[list[int | str]]:
    return [list(port.shape) for port in artifact.manifest.forms["model"].inputs]


def test_k1_embedding_lstm_softmax(prove: Prove) -> None:
    model = keras.Sequential(
        [L.Embedding(1000, 64), L.LSTM(128), L.Dense(10, activation="softmax")]
    )
    assert dynamic(prove(model, LSTM=1)) == [["B", "T"]]


def test_k2_gru_then_simple_rnn(prove: Prove) -> None:
    model = keras.Sequential(
        [
            L.Embedding(1000, 64),
            L.GRU(128, return_sequences=True),
            L.SimpleRNN(128),
            L.Dense(10),
        ]
    )
    prove(model, GRU=1, RNN=1)


def test_k3_encoder_decoder_with_states(prove: Prove) -> None:
    source, target = keras.Input((None,)), keras.Input((None,))
    _, h, c = L.LSTM(64, return_state=True, name="encoder")(L.Embedding(1000, 64)(source))
    y = L.LSTM(64, name="decoder")(L.Embedding(2000, 64)(target), initial_state=[h, c])
    model = keras.Model([source, target], L.Dense(10)(y))
    assert dynamic(prove(model, LSTM=2)) == [["B", "T"], ["B", "T2"]]


@pytest.mark.parametrize(
    ("cell", "op"), [("LSTMCell", "LSTM"), ("GRUCell", "GRU"), ("SimpleRNNCell", "RNN")]
)
def test_k4_rnn_of_a_cell(prove: Prove, cell: str, op: str) -> None:
    model = keras.Sequential([L.Embedding(1000, 64), L.RNN(getattr(L, cell)(64)), L.Dense(10)])
    prove(model, **{op: 1})


def test_k4_rnn_of_lstm_cell_equals_lstm(tmp_path: Path) -> None:
    layer, wrapped = L.LSTM(16), L.RNN(L.LSTMCell(16))
    for one in (layer, wrapped):
        one.build((None, None, 5))
    wrapped.set_weights(layer.get_weights())
    x = np.random.default_rng(0).standard_normal((3, 9, 5)).astype("float32")
    outputs = []
    for name, one in (("layer", layer), ("wrapped", wrapped)):
        rnnport.export(one, tmp_path / name)
        outputs.append(rnnport.load(tmp_path / name, provider="cpu").run(x))
    np.testing.assert_array_equal(*outputs)


def test_k5_stateful_starts_from_zero_and_is_left_alone(prove: Prove) -> None:
    model = keras.Sequential(
        [keras.Input(batch_shape=(20, 10, 50)), L.LSTM(64, stateful=True), L.Dense(3)]
    )
    rng = np.random.default_rng(5)
    batches = rng.standard_normal((3, 20, 10, 50)).astype("float32")
    model(batches[0])
    model(batches[1])
    before = [keras.ops.convert_to_numpy(s) for s in model.layers[0].states]
    artifact = prove(model, LSTM=1)
    assert dynamic(artifact) == [["B", "T", 50]]
    for old, new in zip(before, model.layers[0].states, strict=True):
        np.testing.assert_array_equal(old, keras.ops.convert_to_numpy(new))
    model.layers[0].reset_state()
    runner = rnnport.load(artifact, provider="cpu")
    np.testing.assert_allclose(runner.run(batches[2]), model(batches[2]), atol=1e-5)


def test_k6_stacked_bidirectional(prove: Prove) -> None:
    model = keras.Sequential(
        [
            keras.Input((5, 10)),
            L.Bidirectional(L.LSTM(64, return_sequences=True)),
            L.Bidirectional(L.LSTM(32)),
            L.Dense(10),
        ]
    )
    artifact = prove(model, LSTM=2)
    assert dynamic(artifact) == [["B", "T", 10]]
    assert {layer.lowering for layer in artifact.manifest.layers} == {"LSTM bidirectional"}


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("sequences", [True, False])
def test_k6_every_merge_mode(prove: Prove, merge: str | None, sequences: bool) -> None:
    x = keras.Input((None, 4))
    y = L.Bidirectional(L.GRU(6, return_sequences=sequences), merge_mode=merge)(x)
    prove(keras.Model(x, y), GRU=1)


def test_k6_backward_layer_of_other_size(prove: Prove) -> None:
    x = keras.Input((None, 4))
    forward = L.LSTM(6, return_sequences=True)
    backward = L.LSTM(9, return_sequences=True, go_backwards=True)
    prove(keras.Model(x, L.Bidirectional(forward, backward_layer=backward)(x)), LSTM=2)


def test_k6_backward_layer_of_other_kind(prove: Prove) -> None:
    x = keras.Input((None, 4))
    forward = L.LSTM(6, return_sequences=True)
    backward = L.GRU(6, return_sequences=True, go_backwards=True, reset_after=False)
    layer = L.Bidirectional(forward, backward_layer=backward, merge_mode="ave")
    prove(keras.Model(x, layer(x)), LSTM=1, GRU=1)


@pytest.mark.parametrize("make", [lambda: L.LSTM(64), lambda: L.RNN(L.LSTMCell(64))])
def test_k7_rows_of_an_image(prove: Prove, make: Callable[[], Any]) -> None:
    model = keras.Sequential([keras.Input((None, 28)), make(), L.BatchNormalization(), L.Dense(10)])
    images = np.random.default_rng(7).random((6, 28, 28)).astype("float32")
    prove(model, LSTM=1, also=[images])


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "relu"},
        {"recurrent_activation": "hard_sigmoid"},
        {"recurrent_dropout": 0.5},
        {"unroll": True},
        {"use_bias": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_k8_what_switches_keras_off_cudnn(prove: Prove, kind: str, options: dict[str, Any]) -> None:
    time = 6 if options.get("unroll") else None
    model = keras.Sequential([keras.Input((time, 5)), getattr(L, kind)(7, **options)])
    prove(model, **{kind: 1})


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_k8_a_mask_that_is_not_right_padded(prove: Prove, kind: str) -> None:
    x, mask = keras.Input((None, 5)), keras.Input((None,), dtype="bool")
    y = getattr(L, kind)(7, return_sequences=True, return_state=True)(x, mask=mask)
    prove(keras.Model([x, mask], y), **{kind: 1})


def test_k10_relu_simple_rnn(prove: Prove) -> None:
    model = keras.Sequential(
        [keras.Input((28, 28)), L.SimpleRNN(16, activation="relu"), L.Dense(10, "softmax")]
    )
    assert dynamic(prove(model, RNN=1)) == [["B", "T", 28]]


class Stepped(keras.Model):
    """Cells driven by hand over the steps of (B, T, F)."""

    def __init__(self, cells: list[Any]) -> None:
        super().__init__()
        self.cells = cells

    def call(self, x: Any) -> Any:
        batch = tf.shape(x)[0]
        states = [
            [tf.zeros((batch, n)) for n in keras.tree.flatten(cell.state_size)]
            for cell in self.cells
        ]
        outputs = []
        for t in range(x.shape[1]):
            y = x[:, t]
            for i, cell in enumerate(self.cells):
                y, states[i] = cell(y, states[i])
            outputs.append(y)
        return tf.stack(outputs, axis=1), keras.tree.flatten(states)


@pytest.mark.parametrize(
    ("cell", "op"), [("LSTMCell", "LSTM"), ("GRUCell", "GRU"), ("SimpleRNNCell", "RNN")]
)
def test_k11_cell_stepped_by_hand(prove: Prove, cell: str, op: str) -> None:
    model = Stepped([getattr(L, cell)(20)])
    model(np.zeros((2, 80, 100), "float32"))
    assert dynamic(prove(model, **{op: 1})) == [["B", "T", 100]]


def test_k11_two_cells_stacked_by_hand(prove: Prove) -> None:
    model = Stepped([L.LSTMCell(12), L.GRUCell(9)])
    model(np.zeros((2, 80, 100), "float32"))
    assert dynamic(prove(model, LSTM=1, GRU=1)) == [["B", "T", 100]]


@pytest.mark.parametrize("cell", ["LSTMCell", "GRUCell", "SimpleRNNCell"])
def test_k11_bare_cell(tmp_path: Path, cell: str) -> None:
    bare = getattr(L, cell)(7)
    bare.build((None, 5))
    artifact = rnnport.export(bare, tmp_path / "out")
    form = artifact.manifest.forms["model"]
    states = ["h", "c"] if cell == "LSTMCell" else ["h"]
    assert [p.name for p in form.inputs] == ["x", *(f"{s}_in" for s in states)]
    assert [p.name for p in form.outputs] == ["y", *(f"{s}_out" for s in states)]
    assert not {"Loop", "Scan"} & set(form.op_counts)
    rng = np.random.default_rng(11)
    x, *given = (rng.standard_normal((3, n)).astype("float32") for n in [5, *[7] * len(states)])
    y, *after = rnnport.load(artifact, provider="cpu").run(x, *given)
    expected, new = bare(x, given)
    np.testing.assert_allclose(y, expected, atol=1e-6)
    for a, b in zip(after, keras.tree.flatten(new), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_k11_bare_stacked_cells(prove: Prove) -> None:
    cells = L.StackedRNNCells([L.LSTMCell(4), L.GRUCell(5), L.SimpleRNNCell(3)])
    cells.build((None, 6))
    artifact = prove(cells, LSTM=1, GRU=1, RNN=1)
    names = [p.name for p in artifact.manifest.forms["model"].inputs]
    assert names == ["x", "cell0_h_in", "cell0_c_in", "cell1_h_in", "cell2_h_in"]


def test_k11_one_step_function(tmp_path: Path) -> None:
    cell = L.GRUCell(6)
    cell.build((None, 4))

    @tf.function(
        input_signature=[tf.TensorSpec([None, 4]), tf.TensorSpec([None, 6])],
    )
    def step(x: Any, h: Any) -> Any:
        y, new = cell(x, [h])
        return y * 2.0, new[0]

    artifact = rnnport.export(step, tmp_path / "out")
    assert artifact.manifest.forms["model"].op_counts["GRU"] == 1
    rng = np.random.default_rng(12)
    x, h = rng.standard_normal((5, 4)), rng.standard_normal((5, 6))
    x, h = x.astype("float32"), h.astype("float32")
    for e, r in zip(step(x, h), rnnport.load(artifact, provider="cpu").run(x, h), strict=True):
        np.testing.assert_allclose(r, e, atol=1e-6)


class Sentiment(keras.Model):
    """K12: the tutorial's text classifier with a hand-written call."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        make = getattr(L, kind)
        self.embedding = L.Embedding(10000, 100)
        self.first = make(64, dropout=0.5, return_sequences=True)
        self.second = make(64, dropout=0.5)
        self.head = keras.Sequential([L.Dense(32), L.Dropout(0.5), L.ReLU(), L.Dense(1)])

    def call(self, tokens: Any, training: bool = False) -> Any:
        x = self.first(self.embedding(tokens), training=training)
        x = self.second(x, training=training)
        return keras.ops.sigmoid(self.head(x, training=training))


@pytest.mark.parametrize(("kind", "op"), [("SimpleRNN", "RNN"), ("LSTM", "LSTM"), ("GRU", "GRU")])
def test_k12_subclassed_text_classifier(prove: Prove, kind: str, op: str) -> None:
    model = Sentiment(kind)
    tokens = np.random.default_rng(12).integers(1, 10000, (4, 80)).astype("int32")
    tokens[:, :17] = 0
    model(tokens)
    artifact = prove(model, also=[tokens], **{op: 2})
    (port,) = artifact.manifest.forms["model"].inputs
    assert (port.name, port.dtype, port.shape) == ("tokens", "int32", ["B", "T"])


K13 = [
    {"activation": "softsign"},
    {"recurrent_activation": "hard_sigmoid", "activation": "elu"},
    {"use_bias": False},
    {"unit_forget_bias": False},
    {"kernel_regularizer": "l2", "recurrent_regularizer": "l1", "bias_regularizer": "l2"},
    {"kernel_constraint": "max_norm", "recurrent_constraint": "unit_norm"},
    {"dropout": 0.3, "recurrent_dropout": 0.2},
    {"implementation": 1},
    {"implementation": 2},
    {"return_sequences": True, "return_state": True},
    {"go_backwards": True, "return_sequences": True},
    {"reset_after": False},
    {"reset_after": True},
    {"seed": 3},
]


@pytest.mark.parametrize("options", K13, ids=lambda o: ",".join(o))
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_k13_every_option(prove: Prove, kind: str, options: dict[str, Any]) -> None:
    lstm_only = {"unit_forget_bias"}
    gated = {"recurrent_activation", "implementation"}
    unknown = set()
    if kind != "LSTM":
        unknown |= lstm_only
    if kind != "GRU":
        unknown |= {"reset_after"}
    if kind == "SimpleRNN":
        unknown |= gated
    kept = {k: v for k, v in options.items() if k not in unknown}
    if not kept:
        return  # the option does not exist for this kind
    layer = getattr(L, kind)(6, bias_initializer="random_normal", **kept)
    x = keras.Input((None, 4))
    prove(keras.Model(x, layer(x)), **{kind.removeprefix("Simple"): 1})


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_k13_initial_state_given(prove: Prove, kind: str) -> None:
    x = keras.Input((None, 4))
    states = [keras.Input((6,)) for _ in range(2 if kind == "LSTM" else 1)]
    layer = getattr(L, kind)(6, return_sequences=True, return_state=True)
    masked = L.Masking()(x)
    model = keras.Model([x, *states], layer(masked, initial_state=states))
    prove(model, **{kind.removeprefix("Simple"): 1})


def test_k15_three_stacked_stateful(prove: Prove) -> None:
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(32, 8, 16)),
            L.LSTM(32, return_sequences=True, stateful=True),
            L.LSTM(32, return_sequences=True, stateful=True),
            L.LSTM(32, stateful=True),
            L.Dense(10),
        ]
    )
    assert dynamic(prove(model, LSTM=3)) == [["B", "T", 16]]


def test_k16_masking(prove: Prove) -> None:
    prove(keras.Sequential([keras.Input((None, 3)), L.Masking(0.0), L.LSTM(5)]), LSTM=1)


def test_k16_embedding_mask(prove: Prove) -> None:
    prove(keras.Sequential([L.Embedding(30, 6, mask_zero=True), L.LSTM(5)]), LSTM=1)


def test_k16_mask_through_other_layers(prove: Prove) -> None:
    ids, x = keras.Input((None,), dtype="int32"), keras.Input((None, 3))
    a = L.Bidirectional(L.LSTM(4, return_sequences=True))(L.Embedding(30, 6, mask_zero=True)(ids))
    a = L.TimeDistributed(L.Dense(5))(L.Dropout(0.5)(a))
    joined = L.Concatenate()([a, L.Masking()(x)])
    y = L.GRU(4, return_sequences=True)(joined)
    artifact = prove(keras.Model([ids, x], y), LSTM=2, GRU=1)
    assert dynamic(artifact) == [["B", "T"], ["B", "T", 3]]


def test_k16_time_distributed_lstm(prove: Prove) -> None:
    model = keras.Sequential(
        [keras.Input((None, 6, 3)), L.TimeDistributed(L.LSTM(5)), L.GRU(4, return_sequences=True)]
    )
    prove(model, LSTM=1, GRU=1)


def test_k16_nested_time_distributed_under_a_mask(prove: Prove) -> None:
    ids = keras.Input((5, 4), dtype="int32")
    x = L.Embedding(20, 6, mask_zero=True)(ids)
    y = L.TimeDistributed(L.LSTM(5))(x)
    y = L.TimeDistributed(L.Dense(3))(y)
    prove(keras.Model(ids, y), LSTM=1)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"zero_output_for_mask": True}])
def test_k16_inner_mask_reaches_the_outer_layer(
    prove: Prove, kind: str, options: dict[str, bool]
) -> None:
    """TimeDistributed hands on a mask (B, T, 4): Keras then masks each of 4 units on its own."""
    ids = keras.Input((5, 4), dtype="int32")
    y = L.TimeDistributed(L.GRU(5))(L.Embedding(20, 6, mask_zero=True)(ids))
    layer = getattr(L, kind)(4, return_sequences=True, return_state=True, **options)
    prove(keras.Model(ids, layer(y)), GRU=1, scan=1)


def test_k16_mask_by_hand(prove: Prove) -> None:
    x, mask = keras.Input((None, 4)), keras.Input((None,), dtype="bool")
    y = L.SimpleRNN(6, return_sequences=True)(x, mask=mask)
    prove(keras.Model([x, mask], y), RNN=1)


def test_k17_two_encoders_and_a_classifier(prove: Prove) -> None:
    a, b = keras.Input((None,)), keras.Input((None,))
    h = [L.LSTM(16)(L.Embedding(100, 8)(side)) for side in (a, b)]
    model = keras.Model([a, b], L.Dense(5, "softmax")(L.Concatenate()(h)))
    prove(model, LSTM=2)


@pytest.mark.parametrize("padding", ["causal", "same", "valid"])
def test_k19_convolution_in_front(prove: Prove, padding: str) -> None:
    model = keras.Sequential(
        [
            keras.Input((None, 4)),
            L.Conv1D(8, 3, padding=padding, activation="relu"),
            L.LayerNormalization(),
            L.LSTM(6, return_sequences=True),
            L.TimeDistributed(L.Dense(3)),
        ]
    )
    prove(model, LSTM=1)


@pytest.mark.parametrize(
    "pooling", [lambda: L.MaxPooling1D(2), lambda: L.AveragePooling1D(2), lambda: L.UpSampling1D(2)]
)
def test_k19_pooling_between(prove: Prove, pooling: Callable[[], Any]) -> None:
    model = keras.Sequential(
        [
            keras.Input((None, 4)),
            L.GRU(6, return_sequences=True),
            pooling(),
            L.LSTM(5, return_sequences=True),
            L.GlobalMaxPooling1D(),
        ]
    )
    prove(model, LSTM=1, GRU=1)


def test_k19_repeat_vector_autoencoder(prove: Prove) -> None:
    model = keras.Sequential(
        [
            keras.Input((12, 3)),
            L.LSTM(8),
            L.RepeatVector(12),
            L.LSTM(8, return_sequences=True),
            L.TimeDistributed(L.Dense(3)),
        ]
    )
    assert dynamic(prove(model, LSTM=2)) == [["B", "T", 3]]


def test_nested_and_shared_models(prove: Prove) -> None:
    """A nested model called twice, and a layer shared by both: weights are stored once."""
    shared = L.GRU(5, return_sequences=True)
    inner = keras.Sequential([keras.Input((None, 4)), shared, L.LSTM(6)])
    a, b = keras.Input((None, 4), name="a"), keras.Input((None, 4), name="b")
    y = L.Concatenate()([inner(a), inner(b), L.GlobalAveragePooling1D()(shared(a))])
    artifact = prove(keras.Model({"a": a, "b": b}, {"y": y, "double": 2 * y}), GRU=3, LSTM=2)
    weights = sum(int(np.prod(w.shape)) * 4 for w in inner.weights)
    assert artifact.manifest.forms["model"].record.size < weights + 20_000
