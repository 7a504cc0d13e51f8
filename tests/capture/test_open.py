"""What opens: live objects and files, built or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

import rnnport
from rnnport.capture.open import open_source
from tests.tiny_keras import assert_same, bits, lively, normal, ops

L = keras.layers
X = normal(2, 7, 3)
SIGNATURE = [tf.TensorSpec([None, None, 3], tf.float32)]


class Tripled(L.Layer):
    """A layer Keras does not know."""

    def call(self, x: Any) -> Any:
        return 3.0 * x


def model_with(layer: Any = None) -> Any:
    x = keras.Input((None, 3), name="x")
    y = L.LSTM(4, name="rnn")(x if layer is None else layer(x))
    return lively(keras.Model(x, L.Dense(2, name="head")(y), name="small"))


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
def test_files(suffix: str, tmp_path: Path) -> None:
    model = model_with()
    path = tmp_path / f"m{suffix}"
    if suffix == ".keras":
        model.save(path)
    else:
        save_model_to_hdf5(model, str(path))
    artifact = rnnport.export(path, tmp_path / "out")
    assert artifact.manifest.name == "small"
    assert artifact.manifest.source["kind"] == f"{suffix} file"
    assert artifact.manifest.source["framework"] == f"keras {keras.__version__}"
    assert ops(artifact)["LSTM"] == 1
    assert_same(model(X), rnnport.load(artifact).run(X))
    assert rnnport.verify(artifact, model=path).passed


def test_custom_layer_in_a_file(tmp_path: Path) -> None:
    model = model_with(Tripled())
    model.save(tmp_path / "m.keras")
    objects = {"Tripled": Tripled}
    artifact = rnnport.export(str(tmp_path / "m.keras"), tmp_path / "out", custom_objects=objects)
    assert_same(model(X), rnnport.load(artifact).run(X))
    report = rnnport.verify(artifact, model=tmp_path / "m.keras", custom_objects=objects)
    assert report.passed


def test_a_live_lambda_layer_is_no_trouble(tmp_path: Path) -> None:
    model = model_with(L.Lambda(lambda x: 3.0 * x))
    artifact = rnnport.export(model, tmp_path / "out")
    assert_same(model(X), rnnport.load(artifact).run(X))


def test_functional() -> None:
    source = open_source(model_with())
    assert (source.name, source.kind) == ("small", "live object")
    (x,) = source.inputs
    assert (x.name, x.dtype, x.shape, x.assumed_dtype) == ("x", "float32", (None, None, 3), False)
    assert source.output_names == ("head",)


def test_sequential_that_was_built() -> None:
    model = keras.Sequential([keras.Input((9, 3)), L.LSTM(4)])
    assert open_source(model).inputs[0].shape == (None, 9, 3)
    lazy = keras.Sequential([L.LSTM(4)])
    lazy(X)
    assert open_source(lazy).inputs[0].shape[2] == 3
    built = keras.Sequential([L.LSTM(4)])
    built.build((None, 5, 3))
    assert open_source(built).inputs[0].shape == (None, 5, 3)


def test_sequential_that_starts_with_an_embedding(tmp_path: Path) -> None:
    model = keras.Sequential([L.Embedding(9, 3), L.GRU(4), L.Dense(2)], name="words")
    assert not model.built
    artifact = rnnport.export(model, tmp_path / "out")
    port = artifact.manifest.forms["model"].inputs[0]
    assert port.shape == ["B", "T"]
    ids = np.random.default_rng(1).integers(0, 9, (3, 8))
    assert_same(model(ids), rnnport.load(artifact).run(ids))


@pytest.mark.parametrize("start", ["signature", "built layer"])
def test_sequential_of_known_features(start: str, tmp_path: Path) -> None:
    first = L.LSTM(4)
    if start == "built layer":
        first.build((None, None, 3))
    model = keras.Sequential([first, L.Dense(2)])
    given = {"input_signature": SIGNATURE} if start == "signature" else {}
    artifact = rnnport.export(model, tmp_path / "out", **given)
    assert artifact.manifest.forms["model"].inputs[0].shape == ["B", "T", 3]
    assert_same(model(X), rnnport.load(artifact).run(X))


class Hand(keras.Model):
    def __init__(self) -> None:
        super().__init__(name="hand")
        self.embed, self.rnn = L.Embedding(11, 3), L.SimpleRNN(4)

    def call(self, ids: Any, training: bool = False) -> Any:
        assert not training
        return self.rnn(self.embed(ids))


def test_subclassed_with_a_signature(tmp_path: Path) -> None:
    model = Hand()
    signature = [tf.TensorSpec([None, None], tf.int32)]
    artifact = rnnport.export(model, tmp_path / "out", input_signature=signature)
    (port,) = artifact.manifest.forms["model"].inputs
    assert (port.name, port.dtype, port.shape) == ("ids", "int32", ["B", "T"])
    ids = np.random.default_rng(1).integers(0, 11, (3, 8))
    assert_same(model(ids), rnnport.load(artifact).run(ids))


def test_subclassed_after_a_call_learns_that_ids_are_integers(tmp_path: Path) -> None:
    model = Hand()
    ids = np.random.default_rng(1).integers(0, 11, (3, 8))
    model(ids)
    artifact = rnnport.export(model, tmp_path / "out")
    (port,) = artifact.manifest.forms["model"].inputs
    assert (port.name, port.dtype, port.shape) == ("ids", "int32", ["B", "T"])
    assert_same(model(ids), rnnport.load(artifact).run(ids))


@pytest.mark.parametrize(
    "signature", [SIGNATURE, SIGNATURE[0], [X], [keras.InputSpec(shape=(None, None, 3))]]
)
def test_forms_of_a_signature(signature: Any) -> None:
    source = open_source(L.LSTM(4), input_signature=signature)
    (x,) = source.inputs
    assert (x.name, x.dtype, x.shape[2]) == ("sequences", "float32", 3)


def test_a_bare_layer(tmp_path: Path) -> None:
    layer = L.Bidirectional(L.GRU(4, return_sequences=True))
    layer(X)
    artifact = rnnport.export(lively(layer), tmp_path / "out")
    assert ops(artifact)["GRU"] == 1
    assert_same(layer(X), rnnport.load(artifact).run(X))


def test_opening_changes_no_weights() -> None:
    model = model_with()
    before = bits(model.get_weights())
    open_source(model).call([tf.constant(X)])
    assert bits(model.get_weights()) == before


def test_a_model_without_recurrent_layers_says_so(tmp_path: Path) -> None:
    x = keras.Input((4,), name="x")
    model = lively(keras.Model(x, L.Dense(3)(L.Dense(5, "relu")(x))))
    artifact = rnnport.export(model, tmp_path / "out")
    assert artifact.manifest.layers == []
    assert artifact.manifest.notes == [
        "no recurrent layer was found; everything was converted by tf2onnx"
    ]
    a = normal(5, 4)
    assert_same(model(a), rnnport.load(artifact).run(a))
