"""Live tf_keras models: recognised by class, fused, equal at sizes and masks never traced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras.src.layers.rnn import gru_v1, lstm_v1
from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU
from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM
from tf_keras.src.saving.legacy.hdf5_format import preprocess_weights_for_loading

import rnnport
from rnnport.capture.keras2.cudnn import standard_weights
from rnnport.errors import MissingSignature, UnsupportedModel
from tests.keras2.proving import L, Prove, assert_equal, functional
from tests.tiny_keras import bits, lively, normal

OPS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"return_sequences": True},
    {"return_sequences": True, "return_state": True},
    {"go_backwards": True, "return_sequences": True},
    {"time_major": True, "return_sequences": True, "return_state": True},
    {"zero_output_for_mask": True, "return_sequences": True},
    {"zero_output_for_mask": True},
    {"unroll": True, "return_sequences": True},
    {"unroll": True, "go_backwards": True, "return_sequences": True, "zero_output_for_mask": True},
    {"use_bias": False},
    {"activation": "softsign"},
    {"dropout": 0.3, "recurrent_dropout": 0.2},
    {"implementation": 1},
    {"recurrent_activation": "hard_sigmoid"},
    {"recurrent_activation": "hard_sigmoid", "activation": "relu", "unit_forget_bias": False},
    {"reset_after": False},
    {"reset_after": False, "implementation": 1, "recurrent_activation": "hard_sigmoid"},
]
ONLY = {"unit_forget_bias": {"LSTM"}, "reset_after": {"GRU"}}
GATED = {"recurrent_activation", "implementation"}


def _layer(kind: str, options: dict[str, Any], units: int = 5) -> Any:
    kept = {
        name: value
        for name, value in options.items()
        if kind in ONLY.get(name, {kind}) and not (kind == "SimpleRNN" and name in GATED)
    }
    return getattr(L, kind)(units, **kept)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: ",".join(o) or "plain")
@pytest.mark.parametrize("mask", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("kind", OPS)
def test_every_option(prove: Prove, kind: str, mask: bool, options: dict[str, Any]) -> None:
    layer = _layer(kind, options)
    if options.get("time_major"):
        x, m = L.Input((None, 3), name="x"), L.Input((None,), dtype="bool", name="m")
        given = {"mask": tf.transpose(m)} if mask else {}
        y, *states = layer(tf.transpose(x, [1, 0, 2]), **given)
        outputs = [tf.transpose(y, [1, 0, 2]), *states]
        model = lively(tf_keras.Model([x, m] if mask else x, outputs))
    else:
        time = 7 if options.get("unroll") else None
        model = functional(layer, mask=mask, time=time)
    prove(model, **{OPS[kind]: 1})


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("mask", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
def test_bidirectional(prove: Prove, merge: str | None, mask: bool, sequences: bool) -> None:
    inner = L.LSTM(4, return_sequences=sequences, recurrent_activation="hard_sigmoid")
    model = functional(L.Bidirectional(inner, merge_mode=merge), mask=mask)
    prove(model, LSTM=2 if mask else 1, streams=False)


def test_bidirectional_with_states_in_and_out(prove: Prove) -> None:
    x = L.Input((None, 3))
    states = [L.Input((4,)) for _ in range(4)]
    layer = L.Bidirectional(L.LSTM(4, return_sequences=True, return_state=True))
    model = lively(tf_keras.Model([x, *states], layer(x, initial_state=states)))
    prove(model, LSTM=1)


def test_bidirectional_of_other_kind_and_time_major(prove: Prove) -> None:
    x = L.Input((None, 3))
    options = {"return_sequences": True, "time_major": True}
    backward = L.GRU(4, go_backwards=True, **options)
    layer = L.Bidirectional(L.LSTM(4, **options), backward_layer=backward, merge_mode="sum")
    y = tf.transpose(layer(tf.transpose(x, [1, 0, 2])), [1, 0, 2])
    prove(lively(tf_keras.Model(x, y)), LSTM=1, GRU=1)


@pytest.mark.parametrize(
    ("make", "op"), [(lstm_v1.LSTM, "LSTM"), (gru_v1.GRU, "GRU")], ids=["LSTM", "GRU"]
)
def test_layers_of_tensorflow_1(prove: Prove, make: Any, op: str) -> None:
    layer = make(5, return_sequences=True)
    assert layer.recurrent_activation.__name__ == "hard_sigmoid"
    prove(functional(layer, mask=True), streams=True, **{op: 1})


@pytest.mark.parametrize(("make", "op"), [(CuDNNLSTM, "LSTM"), (CuDNNGRU, "GRU")])
def test_cudnn_layers_run_without_a_gpu(prove: Prove, make: Any, op: str) -> None:
    model = functional(make(5, return_sequences=True, return_state=True))
    artifact = rnnport.export(model, prove.folder / "out")
    assert artifact.manifest.forms["model"].op_counts[op] == 1
    assert rnnport.verify(artifact, model=model).passed
    plain = getattr(L, op)(5, return_sequences=True, return_state=True)
    equal = functional(plain)
    plain.set_weights(preprocess_weights_for_loading(plain, model.get_weights(), "2.2.4"))
    assert_equal(artifact, equal, 7)


def test_cudnn_layers_in_a_bidirectional(prove: Prove) -> None:
    model = functional(L.Bidirectional(CuDNNGRU(4, return_sequences=True)))
    artifact = rnnport.export(model, prove.folder / "out")
    assert artifact.manifest.forms["model"].op_counts["GRU"] == 1
    assert [layer.lowering for layer in artifact.manifest.layers] == ["GRU bidirectional"] * 2


@pytest.mark.parametrize(("make", "plain"), [(CuDNNLSTM, "LSTM"), (CuDNNGRU, "GRU")])
def test_cudnn_weights_are_read_as_keras_reads_them(make: Any, plain: str) -> None:
    layer = make(3)
    layer.build((None, None, 5))
    weights = [w.astype("float32") for w in lively(layer).get_weights()]
    target = getattr(L, plain)(3)
    expected = preprocess_weights_for_loading(target, [w.copy() for w in weights], "2.2.4")
    for e, r in zip(expected, standard_weights(*weights), strict=True):
        np.testing.assert_array_equal(e, r)


def test_stacked_cells_of_several_kinds(prove: Prove) -> None:
    cells = [L.LSTMCell(4), L.GRUCell(5, reset_after=False), L.SimpleRNNCell(3)]
    layer = L.RNN(cells, return_sequences=True, return_state=True)
    prove(functional(layer, mask=True), LSTM=1, GRU=1, RNN=1, streams=True)


def test_states_in_reverse_order(prove: Prove) -> None:
    """Such a stack is one cell of its own, which steps its standard cells inside the loop.

    The cells are of one size: tf_keras hands them the reversed states as they are, so that it
    cannot build others.
    """
    cells = L.StackedRNNCells([L.GRUCell(4), L.GRUCell(4)], reverse_state_order=True)
    model = functional(L.RNN(cells, return_state=True))
    artifact = prove(model, GRU=2, scan=1, streams=True)
    assert [layer.lowering for layer in artifact.manifest.layers] == ["GRU", "GRU", "Scan"]


def test_encoder_and_decoder(prove: Prove) -> None:
    source, target = L.Input((None,)), L.Input((None,))
    _, h, c = L.LSTM(6, return_state=True)(L.Embedding(20, 4, mask_zero=True)(source))
    y = L.LSTM(6, return_sequences=True)(L.Embedding(30, 4)(target), initial_state=[h, c])
    model = lively(tf_keras.Model([source, target], L.Dense(10, "softmax")(y)))
    artifact = prove(model, LSTM=2)
    assert [p.shape for p in artifact.manifest.forms["model"].inputs] == [["B", "T"], ["B", "T2"]]
    assert artifact.manifest.handoff.ok


def test_a_decoder_that_looks_ahead_leaves_no_half_behind(prove: Prove) -> None:
    source, target = L.Input((None, 3)), L.Input((None, 2))
    _, h = L.GRU(4, return_state=True)(source)
    y = L.GRU(4, return_sequences=True)(target, initial_state=h)
    y = L.Bidirectional(L.LSTM(3, return_sequences=True))(y)
    artifact = prove(lively(tf_keras.Model([source, target], y)), GRU=2, LSTM=1)
    assert not artifact.manifest.handoff.ok
    assert sorted(artifact.forms) == ["model"]


def test_stateful_layers_start_from_zero_and_are_left_alone(prove: Prove) -> None:
    model = tf_keras.Sequential(
        [
            L.Input(batch_shape=(4, 6, 3)),
            L.LSTM(5, stateful=True, return_sequences=True),
            L.GRU(4, stateful=True, return_sequences=True),
        ]
    )
    lively(model)
    batches = normal(3, 4, 6, 3)
    model(batches[0])
    before = bits([layer.states for layer in model.layers])
    artifact = rnnport.export(model, prove.folder / "out")
    assert rnnport.verify(artifact, model=model).passed
    assert bits([layer.states for layer in model.layers]) == before
    assert artifact.manifest.forms["model"].inputs[0].shape == ["B", "T", 3]
    assert artifact.manifest.forms["model"].op_counts.get("Loop", 0) == 0
    model.reset_states()
    stepper = rnnport.load(artifact, provider="cpu").stepper(batch_size=4)
    for batch in batches:
        np.testing.assert_allclose(stepper.feed(batch), model(batch), atol=1e-5)


def test_a_stream_equals_the_whole(prove: Prove) -> None:
    model = tf_keras.Sequential(
        [
            L.Masking(0.0, input_shape=(None, 3)),
            L.LSTM(5, return_sequences=True, recurrent_activation="hard_sigmoid"),
            L.GRU(4, return_sequences=True, reset_after=False),
            L.TimeDistributed(L.Dense(2, "softmax")),
        ]
    )
    artifact = prove(lively(model), LSTM=1, GRU=1, streams=True)
    x = normal(2, 11, 3)
    x[0, 3:5] = 0
    stepper = rnnport.load(artifact, provider="cpu").stepper(batch_size=2)
    fed = np.concatenate([stepper.feed(x[:, :4]), stepper.feed(x[:, 4:])], axis=1)
    np.testing.assert_allclose(fed, model(x), atol=1e-5)


def test_causal_convolution_and_pooling_stream(prove: Prove) -> None:
    model = tf_keras.Sequential(
        [
            L.Input((None, 3)),
            L.ZeroPadding1D((2, 0)),
            L.Conv1D(4, 3, activation="relu"),
            L.Conv1D(4, 2, padding="causal", dilation_rate=2),
            L.LSTM(4, return_sequences=True),
            L.GlobalMaxPooling1D(),
        ]
    )
    prove(lively(model), LSTM=1, streams=True)


def test_a_causal_convolution_of_fixed_length(prove: Prove) -> None:
    model = tf_keras.Sequential(
        [L.Input((7, 3)), L.Conv1D(4, 3, padding="causal"), L.GRU(4), L.Dense(2)]
    )
    prove(lively(model), GRU=1)


def test_masked_average(prove: Prove) -> None:
    x = L.Input((None,))
    y = L.Embedding(20, 4, mask_zero=True)(x)
    y = L.GlobalAveragePooling1D()(L.LSTM(4, return_sequences=True)(y))
    artifact = rnnport.export(lively(tf_keras.Model(x, y)), prove.folder / "out")
    assert artifact.manifest.forms["model"].op_counts["LSTM"] == 1


@pytest.mark.parametrize("inner", ["LSTM", "Dense", "model"])
def test_time_distributed(prove: Prove, inner: str) -> None:
    layers = {
        "LSTM": lambda: L.LSTM(4),
        "Dense": lambda: L.Dense(4),
        "model": lambda: tf_keras.Sequential([L.Input((5, 3)), L.GRU(6), L.Dense(4)]),
    }
    x = L.Input((None, 5, 3))
    y = L.TimeDistributed(layers[inner]())(x)
    y = L.LSTM(3, return_sequences=True)(y if inner != "Dense" else L.Reshape((-1, 20))(y))
    fused = {"LSTM": {"LSTM": 2}, "Dense": {"LSTM": 1}, "model": {"LSTM": 1, "GRU": 1}}[inner]
    prove(lively(tf_keras.Model(x, y)), **fused)


def test_mask_through_other_layers(prove: Prove) -> None:
    ids, x = L.Input((None,), dtype="int32"), L.Input((None, 3))
    a = L.Bidirectional(L.LSTM(4, return_sequences=True))(L.Embedding(30, 6, mask_zero=True)(ids))
    a = L.TimeDistributed(L.Dense(5))(L.Dropout(0.5)(a))
    y = L.GRU(4, return_sequences=True)(L.Concatenate()([a, L.Masking()(x)]))
    artifact = rnnport.export(lively(tf_keras.Model([ids, x], y)), prove.folder / "out")
    assert artifact.manifest.forms["model"].op_counts["GRU"] == 1


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "SimpleRNNCell"])
def test_bare_cell(tmp_path: Path, kind: str) -> None:
    cell = getattr(L, kind)(4)
    cell.build((None, 3))
    artifact = rnnport.export(lively(cell), tmp_path / "out")
    assert not {"Loop", "Scan"} & set(artifact.manifest.forms["model"].op_counts)
    states = [normal(5, 4, seed=n) for n in range(2 if kind == "LSTMCell" else 1)]
    x = normal(5, 3, seed=9)
    y, *after = rnnport.load(artifact, provider="cpu").run(x, *states)
    expected, new = cell(tf.constant(x), [tf.constant(s) for s in states])
    for e, r in zip([expected, *tf.nest.flatten(new)], [y, *after], strict=True):
        np.testing.assert_allclose(r, e, atol=1e-6)
    assert artifact.manifest.streamable.ok


class Stepped(tf_keras.Model):
    """A cell driven by hand."""

    def __init__(self) -> None:
        super().__init__(name="stepped")
        self.cell, self.head = L.LSTMCell(6), L.Dense(2)

    def call(self, x: Any) -> Any:
        states = [tf.zeros((tf.shape(x)[0], 6))] * 2
        outputs = []
        for step in range(x.shape[1]):
            y, states = self.cell(x[:, step], states)
            outputs.append(y)
        return self.head(tf.stack(outputs, axis=1))


def test_a_cell_stepped_by_hand(prove: Prove) -> None:
    model = Stepped()
    model(normal(2, 9, 3))
    artifact = prove(lively(model), LSTM=1)
    assert artifact.manifest.forms["model"].inputs[0].shape == ["B", "T", 3]


class Hand(tf_keras.Model):
    """Written by hand, with a branch on a tensor."""

    def __init__(self) -> None:
        super().__init__(name="hand")
        self.embed, self.rnn, self.head = L.Embedding(11, 4), L.GRU(5), L.Dense(2)

    def call(self, ids: Any, training: bool = False) -> Any:
        assert not training
        return self.head(self.rnn(self.embed(ids), training=training))


def test_subclassed_after_a_call(prove: Prove) -> None:
    model = Hand()
    model(np.ones((2, 5), "int32"))
    artifact = prove(lively(model), GRU=1)
    (port,) = artifact.manifest.forms["model"].inputs
    assert (port.name, port.dtype, port.shape) == ("ids", "int32", ["B", "T"])


def test_subclassed_with_a_signature(prove: Prove) -> None:
    signature = [tf.TensorSpec([None, None], tf.int32)]
    prove(Hand(), GRU=1, export={"input_signature": signature})


def test_subclassed_never_called(tmp_path: Path) -> None:
    with pytest.raises(MissingSignature, match="a model whose input shapes nobody recorded"):
        rnnport.export(Hand(), tmp_path / "out")


def test_bare_layers(prove: Prove) -> None:
    called = L.LSTM(4, return_sequences=True)
    called(normal(2, 5, 3))
    prove(lively(called), LSTM=1, streams=True)
    built = L.GRU(4)
    built.build((None, None, 3))
    prove(lively(built), GRU=1)


def test_a_sequential_that_was_only_called(prove: Prove) -> None:
    model = tf_keras.Sequential([L.LSTM(4, return_sequences=True), L.Dense(2)])
    model(normal(2, 5, 3))
    before = model._nested_inputs
    artifact = prove(lively(model), LSTM=1)
    assert artifact.manifest.forms["model"].inputs[0].shape == ["B", "T", 3]
    assert model._nested_inputs is not None
    assert before is not None


def test_a_sequential_that_starts_with_an_embedding(prove: Prove) -> None:
    prove(tf_keras.Sequential([L.Embedding(9, 3), L.GRU(4), L.Dense(2)]), GRU=1)


def test_a_function_of_tf_keras_layers(tmp_path: Path) -> None:
    layer = L.LSTM(4)
    layer.build((None, None, 3))

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3])])
    def double(x: Any) -> Any:
        return 2.0 * layer(x)

    artifact = rnnport.export(double, tmp_path / "out")
    assert artifact.manifest.forms["model"].op_counts["LSTM"] == 1
    x = normal(2, 6, 3)
    received = rnnport.load(artifact, provider="cpu").run(x)
    np.testing.assert_allclose(received, double(x), atol=1e-6)


def test_several_inputs_and_outputs_in_dicts(prove: Prove) -> None:
    a, b = L.Input((None, 3), name="a"), L.Input((None, 3), name="b")
    y = L.Concatenate()([L.LSTM(4)(a), L.GRU(4)(b)])
    outputs = {"one": L.Dense(2, name="one")(y), "two": L.Dense(3, name="two")(y)}
    model = lively(tf_keras.Model({"a": a, "b": b}, outputs))
    artifact = rnnport.export(model, prove.folder / "out")
    given = {"a": normal(2, 6, 3), "b": normal(2, 5, 3)}
    received = rnnport.load(artifact, provider="cpu").run(given)
    assert list(received) == ["one", "two"]
    for name, expected in model(given).items():
        np.testing.assert_allclose(received[name], expected, atol=1e-5)


def test_ragged_inputs_are_refused(tmp_path: Path) -> None:
    x = L.Input((None, 3), ragged=True, name="x")
    with pytest.raises(UnsupportedModel) as caught:
        rnnport.export(tf_keras.Model(x, L.LSTM(4)(x)), tmp_path / "out")
    assert str(caught.value) == (
        "input 'x' | received: ragged rows | expected: arrays | remedy: rebuild it with plain "
        "inputs, padded and masked, and copy the weights"
    )


def test_what_the_manifest_says(prove: Prove) -> None:
    artifact = prove(functional(L.LSTM(4)), LSTM=1)
    assert artifact.manifest.source == {
        "kind": "live object",
        "framework": f"tf_keras {tf_keras.__version__}",
    }
    assert artifact.manifest.versions["tf-keras"] == tf_keras.__version__
