"""Files as Keras 2.0 to 2.15 wrote them: read with Keras 2's meaning, mended, fused, equal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tf_keras
from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU
from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM
from tf_keras.src.saving.legacy.hdf5_format import save_model_to_hdf5
from typer.testing import CliRunner

import rnnport
from rnnport.capture.open_file import open_file
from rnnport.cli.main import app
from tests.keras2.proving import L, Prove, assert_equal, every, old_file
from tests.tiny_keras import lively, normal

S = tf_keras.Sequential


def tagger() -> Any:
    """Masks, hard_sigmoid, BiLSTM with merge "sum", two heads."""
    ids = L.Input((None,), name="ids")
    y = L.Embedding(30, 6, mask_zero=True, name="embed")(ids)
    inner = L.LSTM(5, return_sequences=True, recurrent_activation="hard_sigmoid", dropout=0.2)
    y = L.Bidirectional(inner, merge_mode="sum", name="both")(y)
    tags = L.TimeDistributed(L.Dense(4, activation="softmax"), name="tags")(y)
    last = L.LSTM(3, recurrent_activation="hard_sigmoid", recurrent_dropout=0.1, name="last")(y)
    return lively(tf_keras.Model(ids, [tags, L.Dense(1, "sigmoid", name="score")(last)], name="t"))


def sequence(*layers: Any) -> Any:
    return lively(S([L.Input((None, 3)), *layers], name="old"))


def without(kind: str, *keys: str) -> Callable[[dict[str, Any]], Any]:
    """The config of every such layer lacks the keys."""

    def change(config: dict[str, Any]) -> None:
        found = every(config, kind)
        assert found
        for layer in found:
            for key in keys:
                layer.pop(key, None)

    return change


def with_(kind: str, **values: Any) -> Callable[[dict[str, Any]], Any]:
    def change(config: dict[str, Any]) -> None:
        found = every(config, kind)
        assert found
        for layer in found:
            layer.update(values)

    return change


def renamed(kind: str, name: str) -> Callable[[dict[str, Any]], Any]:
    """Every such class under another name."""

    def change(config: dict[str, Any]) -> Any:
        text = json.dumps(config)
        assert f'"class_name": "{kind}"' in text
        return json.loads(text.replace(f'"class_name": "{kind}"', f'"class_name": "{name}"'))

    return change


def as_list(config: dict[str, Any]) -> None:
    """Keras before 2.2.3: a Sequential is its list of layers, the input in the first of them."""
    layers = config["config"]["layers"]
    if layers[0]["class_name"] == "InputLayer":
        shape = layers.pop(0)["config"]["batch_input_shape"]
        layers[0]["config"]["batch_input_shape"] = shape
    config["config"] = layers


def no_input(config: dict[str, Any]) -> None:
    """A Sequential built by fit: no shape anywhere."""
    layers = config["config"]["layers"]
    if layers[0]["class_name"] == "InputLayer":
        layers.pop(0)
    layers[0]["config"].pop("batch_input_shape", None)
    config["config"].pop("build_input_shape", None)


def legacy_initialisers(config: dict[str, Any]) -> Any:
    """As Keras 2.0 to 2.2 wrote them."""
    scaling = {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None}
    text = json.dumps(config)
    for name, old in (
        ("GlorotUniform", {"class_name": "VarianceScaling", "config": scaling}),
        ("RandomUniform", {"class_name": "RandomUniform", "config": {"minval": -0.05}}),
    ):
        for layer in _with_initialiser(config, name):
            for key, value in list(layer.items()):
                if isinstance(value, dict) and value.get("class_name") == name:
                    layer[key] = old
    return config if text != json.dumps(config) else None


def _with_initialiser(config: Any, name: str) -> list[dict[str, Any]]:
    found = []
    if isinstance(config, dict):
        if any(isinstance(v, dict) and v.get("class_name") == name for v in config.values()):
            found.append(config)
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            found += _with_initialiser(value, name)
    return found


def test_a_tagger_of_keras_2_1(prove: Prove, tmp_path: Path) -> None:
    model = tagger()
    path = old_file(
        model,
        tmp_path / "old.h5",
        without("LSTM", "time_major"),
        renamed("Functional", "Model"),
        legacy_initialisers,
    )
    artifact = prove(path, live=model, LSTM=3, streams=False)
    assert artifact.manifest.notes == []
    assert artifact.manifest.source == {
        "kind": ".h5 file",
        "framework": f"tf_keras {tf_keras.__version__}",
    }


@pytest.mark.parametrize(
    "version", ["2.0.6", "2.1.6", "2.2.4", "2.2.4-tf", "2.4.0", "2.15.0", None]
)
@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
def test_every_version_of_keras_2(
    prove: Prove, tmp_path: Path, version: str | None, suffix: str
) -> None:
    model = sequence(L.LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True))
    attributes = "text" if version == "2.15.0" else "bytes"
    path = old_file(model, tmp_path / f"m{suffix}", version=version, attributes=attributes)
    if version is None:  # then Keras takes the weights for those of version 1
        with h5py.File(path, "r+") as file:
            file["model_weights"].attrs["keras_version"] = "2.1.6"
    prove(path, live=model, LSTM=1, streams=True)


def test_an_old_gru_says_nothing_of_reset_after(prove: Prove, tmp_path: Path) -> None:
    model = sequence(
        L.GRU(4, reset_after=False, return_sequences=True, use_bias=False, name="one"),
        L.Bidirectional(L.GRU(5, reset_after=False, recurrent_activation="hard_sigmoid")),
    )
    path = old_file(model, tmp_path / "m.h5", without("GRU", "reset_after", "time_major"))
    artifact = prove(path, live=model, GRU=2)
    (note,) = artifact.manifest.notes
    assert note.startswith(
        "a GRU without reset_after, as older versions wrote it, was read as reset_after=False (one"
    )


def test_a_newer_gru_says_it(prove: Prove, tmp_path: Path) -> None:
    model = sequence(L.GRU(4, name="one"), L.Dense(2))
    artifact = prove(old_file(model, tmp_path / "m.h5"), live=model, GRU=1, streams=True)
    assert artifact.manifest.notes == []


def test_a_sequential_written_as_a_list(prove: Prove, tmp_path: Path) -> None:
    model = sequence(
        L.LSTM(4, return_sequences=True), S([L.Input((None, 4)), L.LSTM(3)], name="in")
    )
    path = old_file(model, tmp_path / "m.h5", as_list, version="2.0.8")
    artifact = prove(path, live=model, LSTM=2)
    assert artifact.manifest.notes == [
        "a Sequential written as a list of layers was read as one (sequential)"
    ]


@pytest.mark.parametrize(
    ("layers", "shape", "fused"),
    [
        (lambda: [L.Masking(), L.LSTM(4), L.Dense(2)], "(None, None, 3)", {"LSTM": 1}),
        (lambda: [L.Bidirectional(L.GRU(4)), L.Dense(2)], "(None, None, 3)", {"GRU": 1}),
        (lambda: [L.Conv1D(4, 3), L.SimpleRNN(4)], "(None, None, 3)", {"RNN": 1}),
        (lambda: [L.TimeDistributed(L.Dense(5)), L.LSTM(4)], "(None, None, 3)", {"LSTM": 1}),
        (lambda: [L.Dense(5), L.LSTM(4)], "(None, None, 3)", {"LSTM": 1}),
    ],
    ids=["masking", "bidirectional", "conv", "timedistributed", "dense"],
)
def test_no_input_shape(
    prove: Prove, tmp_path: Path, layers: Any, shape: str, fused: dict[str, int]
) -> None:
    model = sequence(*layers())
    path = old_file(model, tmp_path / "m.h5", no_input)
    artifact = prove(path, live=model, time=9, **fused)
    assert artifact.manifest.notes == [
        f"no input shape in the file: taken from its weights as {shape} (old)"
    ]


def test_no_input_shape_before_an_embedding(prove: Prove, tmp_path: Path) -> None:
    model = lively(S([L.Input((None,)), L.Embedding(20, 4), L.LSTM(3)], name="old"))
    artifact = prove(old_file(model, tmp_path / "m.h5", no_input), live=model, LSTM=1)
    assert artifact.manifest.notes[0].endswith("as (None, None) (old)")


def test_an_embedding_whose_dtype_is_that_of_its_ids(prove: Prove, tmp_path: Path) -> None:
    """Keras 2.0: a Sequential says only there that it takes whole numbers."""
    ids, dtype = L.Input((7,), dtype="int32"), with_("Embedding", dtype="int32", input_length=7)
    layers = [L.Embedding(20, 4, mask_zero=True, name="embed"), L.LSTM(3)]
    model = lively(S([ids, *layers], name="old"))
    path = old_file(model, tmp_path / "m.h5", dtype, as_list, version="2.0.8")
    artifact = prove(path, live=model, LSTM=1, streams=True)
    assert artifact.manifest.forms["model"].inputs[0].dtype == "int32"
    assert artifact.manifest.notes[-1] == (
        "dtype int32 of an Embedding, as older versions wrote it, is its ids' (embed)"
    )


def test_an_embedding_whose_dtype_is_that_of_its_ids_behind_an_input(
    prove: Prove, tmp_path: Path
) -> None:
    model = tagger()
    path = old_file(model, tmp_path / "m.h5", with_("Embedding", dtype="int32"))
    artifact = prove(path, live=model, LSTM=3)
    assert artifact.manifest.notes[-1].endswith("is its ids' (embed)")


def test_no_input_shape_before_a_repeat(prove: Prove, tmp_path: Path) -> None:
    layers = [L.Dense(5), L.RepeatVector(4), L.LSTM(3, return_sequences=True)]
    model = lively(S([L.Input((3,)), *layers], name="old"))
    artifact = prove(old_file(model, tmp_path / "m.h5", no_input), live=model, LSTM=1)
    assert artifact.manifest.forms["model"].inputs[0].shape == ["B", 3]


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "bidirectional"])
@pytest.mark.parametrize(
    ("make", "kind"), [(CuDNNLSTM, "LSTM"), (CuDNNGRU, "GRU")], ids=["LSTM", "GRU"]
)
def test_cudnn_layers(prove: Prove, tmp_path: Path, make: Any, kind: str, wrapped: bool) -> None:
    layer = make(4, return_sequences=True)
    model = sequence(L.Bidirectional(layer) if wrapped else layer, L.Dense(2))
    path = old_file(model, tmp_path / "m.h5", without(f"CuDNN{kind}", "time_major"))
    artifact = prove(path, streams=not wrapped, **{kind: 1})
    (note,) = artifact.manifest.notes
    assert note.startswith(
        f"CuDNN{kind}, which runs on GPUs alone, was read as the equal {kind} (cu_dnn"
    )
    assert_equal(artifact, open_file(path, None).model, 7)
    runner = rnnport.load(artifact, provider="cpu")
    x = normal(2, 6, 3)
    live = rnnport.export(model, tmp_path / "live")
    np.testing.assert_allclose(runner.run(x), rnnport.load(live, provider="cpu").run(x), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "old"),
    [("LSTM", "keras.layers.recurrent.LSTM"), ("LSTM", "UnifiedLSTM"), ("GRU", "UnifiedGRU")],
)
def test_classes_under_other_names(prove: Prove, tmp_path: Path, name: str, old: str) -> None:
    model = sequence(getattr(L, name)(4, name="rnn"), L.Dense(2))
    path = old_file(model, tmp_path / "m.h5", renamed(name, old), version="2.2.4-tf")
    artifact = prove(path, live=model, **{name: 1})
    assert artifact.manifest.notes == [f"class {old} was read as {name} (rnn)"]


def test_what_matters_in_training_alone_may_be_unknown(prove: Prove, tmp_path: Path) -> None:
    model = sequence(L.LSTM(4, name="rnn"), L.Dense(2))
    changes = {
        "kernel_initializer": {"class_name": "MyOwn", "config": {"a": 1}},
        "recurrent_regularizer": {"class_name": "theirs", "config": {}},
        "bias_constraint": "something",
    }
    path = old_file(model, tmp_path / "m.h5", with_("LSTM", **changes))
    artifact = prove(path, live=model, LSTM=1)
    assert artifact.manifest.notes == [
        "unknown kernel_initializer, recurrent_regularizer, bias_constraint left out, without "
        "effect on inference (rnn)"
    ]


@pytest.mark.parametrize(
    "change",
    [
        with_("LSTM", implementation=0),
        with_("LSTM", unit_forget_bias=False, dropout=0.5, recurrent_dropout=0.5),
        with_("LSTM", unroll=False, stateful=False, trainable=False),
        with_("LSTM", dtype={"class_name": "Policy", "config": {"name": "float32"}}),
        with_("LSTM", kernel_regularizer={"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.1}}),
        with_("LSTM", bias_initializer={"class_name": "Zeros", "config": {"dtype": "float32"}}),
        without("LSTM", "time_major", "unroll", "stateful", "implementation", "return_state"),
        legacy_initialisers,
    ],
    ids=[
        "implementation 0",
        "dropout",
        "flags",
        "policy",
        "L1L2",
        "typed zeros",
        "bare",
        "scaling",
    ],
)
def test_configs_of_other_times(prove: Prove, tmp_path: Path, change: Any) -> None:
    layer = L.LSTM(4, recurrent_activation="hard_sigmoid")
    model = sequence(layer, L.Dense(2))
    prove(old_file(model, tmp_path / "m.h5", change), live=model, LSTM=1, streams=True)


def test_batch_input_shape_of_a_stateful_file(prove: Prove, tmp_path: Path) -> None:
    model = lively(
        S(
            [
                L.LSTM(4, stateful=True, return_sequences=True, batch_input_shape=(3, 7, 2)),
                L.GRU(4, stateful=True, reset_after=False),
            ]
        )
    )
    path = old_file(model, tmp_path / "m.h5", without("GRU", "reset_after"), as_list)
    artifact = prove(path, LSTM=1, GRU=1, streams=True)
    assert artifact.manifest.forms["model"].inputs[0].shape == ["B", "T", 2]
    assert_equal(artifact, model, 7)


def test_time_major_in_a_file(prove: Prove, tmp_path: Path) -> None:
    x = L.Input((None, 3))
    y = L.Permute((1, 2))(x)
    model = lively(tf_keras.Model(x, L.SimpleRNN(4, time_major=True, return_sequences=True)(y)))
    artifact = rnnport.export(old_file(model, tmp_path / "m.h5"), tmp_path / "out")
    assert artifact.manifest.forms["model"].op_counts["RNN"] == 1
    x = normal(5, 4, 3)
    received = rnnport.load(artifact, provider="cpu").run(x)
    np.testing.assert_allclose(received, model(x), atol=1e-5)


def test_conv_pool_lstm_of_characters(prove: Prove, tmp_path: Path) -> None:
    ids = L.Input((20,), dtype="int32", name="domain")
    y = L.Embedding(39, 8, input_length=20)(ids)
    y = L.MaxPooling1D(2)(L.Conv1D(8, 3, padding="same", activation="relu")(y))
    model = lively(tf_keras.Model(ids, L.Dense(1, "sigmoid")(L.LSTM(6)(y))))
    path = old_file(model, tmp_path / "m.h5", renamed("Functional", "Model"))
    prove(path, live=model, time=20, LSTM=1, streams=False)


def test_attention_and_encoder_states(prove: Prove, tmp_path: Path) -> None:
    source, target = L.Input((None,)), L.Input((None,))
    outputs, h = L.GRU(6, return_sequences=True, return_state=True)(L.Embedding(20, 4)(source))
    y = L.GRU(6, return_sequences=True)(L.Embedding(30, 4)(target), initial_state=h)
    y = L.Concatenate()([y, L.Attention()([y, outputs])])
    model = lively(tf_keras.Model([source, target], L.Dense(10)(y)))
    prove(old_file(model, tmp_path / "m.h5", version="2.4.0"), live=model, GRU=2)


class Doubled(L.Layer):
    """A layer Keras does not know."""

    def call(self, x: Any) -> Any:
        return 2.0 * x


def _swish(x: Any) -> Any:
    return x * tf_keras.backend.sigmoid(x)


def test_custom_objects(prove: Prove, tmp_path: Path) -> None:
    model = sequence(Doubled(), L.LSTM(4), L.Dense(2, activation=_swish))
    objects = {"Doubled": Doubled, "_swish": _swish}
    path = old_file(model, tmp_path / "m.h5")
    prove(path, live=model, LSTM=1, export={"custom_objects": objects})


def test_a_keras_archive_of_keras_2(prove: Prove, tmp_path: Path) -> None:
    model = sequence(L.LSTM(4, recurrent_activation="hard_sigmoid"), L.Dense(2))
    model.save(tmp_path / "m.keras", save_format="keras")
    artifact = prove(tmp_path / "m.keras", live=model, LSTM=1, streams=True)
    assert artifact.manifest.source["framework"].startswith("tf_keras")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("traces", [True, False])
def test_saved_model_folders(prove: Prove, tmp_path: Path, traces: bool) -> None:
    model = tagger()
    model.save(tmp_path / "saved", save_format="tf", save_traces=traces)
    artifact = prove(tmp_path / "saved", live=model, LSTM=3)
    assert artifact.manifest.source["kind"] == "SavedModel of Keras"


@pytest.mark.filterwarnings("ignore")
def test_a_saved_model_of_a_subclassed_model(tmp_path: Path) -> None:
    class Hand(tf_keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = L.LSTM(4), L.Dense(2)

        def call(self, x: Any) -> Any:
            return self.head(self.rnn(x))

    model = Hand()
    model(normal(2, 5, 3))
    model.save(tmp_path / "saved", save_format="tf")
    artifact = rnnport.export(tmp_path / "saved", tmp_path / "out")
    x = normal(2, 5, 3)
    np.testing.assert_allclose(rnnport.load(artifact, provider="cpu").run(x), model(x), atol=1e-5)


def test_a_keras_3_file_is_still_read_by_keras_3(tmp_path: Path) -> None:
    import keras
    from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5 as save3

    model = keras.Sequential(
        [keras.Input((None, 3)), keras.layers.LSTM(4, recurrent_activation="hard_sigmoid")]
    )
    save3(model, str(tmp_path / "m.h5"))
    artifact = rnnport.export(tmp_path / "m.h5", tmp_path / "out")
    assert artifact.manifest.source["framework"] == f"keras {keras.__version__}"


def test_the_user_knows_better(tmp_path: Path) -> None:
    model = sequence(L.LSTM(4), L.Dense(2))
    path = old_file(model, tmp_path / "m.h5", version="3.0.0")
    artifact = rnnport.export(path, tmp_path / "out", source_format="tf_keras")
    assert artifact.manifest.source["framework"].startswith("tf_keras")
    assert rnnport.verify(artifact, model=path, source_format="tf_keras").passed


def test_the_command_line_says_what_was_mended(tmp_path: Path) -> None:
    model = sequence(L.GRU(4, reset_after=False, name="one"), L.Dense(2))
    path = old_file(model, tmp_path / "m.h5", without("GRU", "reset_after"), as_list)
    out = str(tmp_path / "out")
    done = CliRunner().invoke(app, ["export", str(path), "-o", out, "--from", "tf_keras"])
    assert done.exit_code == 0, done.output
    text = " ".join(done.output.split())
    assert "• a Sequential written as a list of layers was read as one (sequential)" in text
    assert "was read as reset_after=False (one)" in text


def test_the_file_is_left_as_it_was(tmp_path: Path) -> None:
    model = sequence(L.GRU(4, reset_after=False), L.Dense(2))
    path = old_file(model, tmp_path / "m.h5", without("GRU", "reset_after"))
    before = path.read_bytes()
    rnnport.export(path, tmp_path / "out")
    assert path.read_bytes() == before


def test_an_optimizer_in_the_file_is_not_needed(prove: Prove, tmp_path: Path) -> None:
    model = sequence(L.LSTM(4), L.Dense(2))
    model.compile("adam", "mse")
    model.fit(normal(4, 5, 3), normal(4, 2), verbose=0)
    save_model_to_hdf5(model, str(tmp_path / "m.h5"))
    prove(tmp_path / "m.h5", live=model, LSTM=1)
