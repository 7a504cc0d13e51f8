"""Files that are refused; the whole message is read, and no code of theirs is run."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5 as save_keras3

import rnnport
from rnnport.errors import ModelFileError, UnsupportedModel, UsageError
from tests.capture.test_bad_models import message, refused
from tests.keras2.proving import L, every, functional, old_file

CODE = message(
    "model in {path}",
    "Python code of a lambda, which loading would run",
    "a file that brings no code along",
    "replace the lambda by a layer class or a named function, or build the model in "
    "Python, load its weights and export the live object",
)


def small() -> Any:
    return functional(L.LSTM(4, name="rnn"))


def _no_config(path: Path, what: str) -> str:
    return message(
        path,
        f"an HDF5 file with {what}",
        "a whole model written by model.save('x.h5')",
        "build the model in Python, call load_weights and export the live object",
    )


@pytest.mark.parametrize("name", ["w.h5", "w.weights.h5"])
def test_weights_alone(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    small().save_weights(path)
    expected = _no_config(path, "weights alone, without model_config")
    assert refused(ModelFileError, path, tmp_path) == expected
    assert refused(ModelFileError, path, tmp_path, source_format="tf_keras") == expected


def test_weights_alone_of_keras_3(tmp_path: Path) -> None:
    path = tmp_path / "w.weights.h5"
    x = keras.Input((None, 3))
    keras.Model(x, keras.layers.LSTM(4)(x)).save_weights(path)
    expected = _no_config(path, "weights alone, without model_config")
    assert refused(ModelFileError, path, tmp_path) == expected


def test_an_hdf5_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file["measurements"] = np.zeros(3)
    assert refused(ModelFileError, path, tmp_path) == _no_config(path, "no model_config")


def test_a_config_that_is_no_json(tmp_path: Path) -> None:
    path = old_file(small(), tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = b"{broken"
    assert "a model_config that is no JSON" in refused(ModelFileError, path, tmp_path)


def test_a_config_without_weights(tmp_path: Path) -> None:
    path = old_file(small(), tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        del file["model_weights"]
    assert refused(ModelFileError, path, tmp_path) == message(
        path,
        "a model_config without model_weights",
        "a whole model written by model.save('x.h5')",
        "save the model again",
    )


@pytest.mark.parametrize("kept", [0.2, 0.6])
def test_truncated(kept: float, tmp_path: Path) -> None:
    path = old_file(small(), tmp_path / "m.h5")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    text = refused(ModelFileError, path, tmp_path)
    assert text.startswith(f"{path} | received: OSError: ")
    assert text.endswith("| expected: a whole HDF5 file | remedy: copy the whole file again")


def test_weights_of_another_model(tmp_path: Path) -> None:
    def wider(config: dict[str, Any]) -> None:
        every(config, "LSTM")[0]["units"] = 9

    path = old_file(small(), tmp_path / "m.h5", wider)
    text = refused(ModelFileError, path, tmp_path)
    assert text.startswith(f"{path} | received: ValueError: ")
    assert "expected: a model tf_keras (Keras 2) can load" in text


def test_a_keras_3_file_called_tf_keras(tmp_path: Path) -> None:
    x = keras.Input((None, 3))
    y = keras.layers.LSTM(4, dtype=keras.DTypePolicy("float32"))(x)
    save_keras3(keras.Model(x, y), str(tmp_path / "m.h5"))
    path = tmp_path / "m.h5"
    text = refused(ModelFileError, path, tmp_path, source_format="tf_keras")
    assert text.startswith(f"{path} | received: ")
    assert text.endswith(
        "expected: a model tf_keras (Keras 2) can load | remedy: leave --from (source_format) out "
        "if it was given; else open the file with the Keras that wrote it and save it again"
    )


def test_an_archive_of_keras_3_called_tf_keras(tmp_path: Path) -> None:
    x = keras.Input((None, 3))
    keras.Model(x, keras.layers.LSTM(4)(x)).save(tmp_path / "m.keras")
    text = refused(ModelFileError, tmp_path / "m.keras", tmp_path, source_format="tf_keras")
    assert "expected: a model tf_keras (Keras 2) can load" in text


def test_a_keras_2_file_called_keras(tmp_path: Path) -> None:
    path = old_file(small(), tmp_path / "m.h5")
    text = refused(ModelFileError, path, tmp_path, source_format="keras")
    assert "expected: a model this Keras can load" in text


def test_an_unknown_format(tmp_path: Path) -> None:
    assert refused(UsageError, small(), tmp_path, source_format="pytorch") == message(
        "source_format", "'pytorch'", "one of keras, tf_keras, saved_model, graph", "choose one"
    )


@pytest.mark.filterwarnings("ignore")
def test_formats_that_cannot_be(tmp_path: Path) -> None:
    path = old_file(small(), tmp_path / "m.h5")
    assert refused(UsageError, path, tmp_path, source_format="saved_model") == message(
        path,
        "a .h5 file called 'saved_model'",
        "source_format (--from) keras or tf_keras",
        "leave it out: the kind of file is found out",
    )
    small().save(tmp_path / "saved", save_format="tf")
    text = refused(UsageError, tmp_path / "saved", tmp_path, source_format="keras")
    assert "received: a SavedModel folder called 'keras'" in text


def test_a_saved_model_without_keras_in_it(tmp_path: Path) -> None:
    module = tf.Module()
    module.double = tf.function(
        lambda x: 2.0 * x, input_signature=[tf.TensorSpec([None], tf.float32)]
    )
    path = tmp_path / "saved"
    tf.saved_model.save(module, str(path))
    text = refused(ModelFileError, path, tmp_path, source_format="tf_keras")
    assert text.startswith(f"{path} | received: ")
    assert text.endswith("| remedy: save the model itself with model.save")


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_saved_model(tmp_path: Path) -> None:
    small().save(tmp_path / "saved", save_format="tf")
    file = tmp_path / "saved" / "keras_metadata.pb"
    file.write_bytes(file.read_bytes()[:-40])
    text = refused(ModelFileError, tmp_path / "saved", tmp_path)
    assert text.startswith(f"{tmp_path / 'saved'} | received: DecodeError")


class Witness:
    """Whether marshalled code ran."""

    ran = False


def _lambda_file(path: Path, wrap: Any) -> Path:
    x = L.Input((None, 3))
    layer = L.Lambda(lambda v: setattr(Witness, "ran", True) or v, name="code")
    model = tf_keras.Model(x, L.LSTM(4)(wrap(layer)(x)))
    Witness.ran = False
    return old_file(model, path)


@pytest.mark.parametrize("wrap", [lambda layer: layer, L.TimeDistributed], ids=["plain", "wrapped"])
@pytest.mark.parametrize("source_format", [None, "tf_keras"])
def test_lambda_in_an_h5_file(wrap: Any, source_format: str | None, tmp_path: Path) -> None:
    path = _lambda_file(tmp_path / "m.h5", wrap)
    text = refused(UnsupportedModel, path, tmp_path, source_format=source_format)
    assert text == CODE.format(path=path)
    assert not Witness.ran


def test_lambda_without_a_type(tmp_path: Path) -> None:
    path = _lambda_file(tmp_path / "m.h5", lambda layer: layer)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        every(config, "Lambda")[0].pop("function_type")
        file.attrs["model_config"] = json.dumps(config)
    assert refused(UnsupportedModel, path, tmp_path) == CODE.format(path=path)


@pytest.mark.filterwarnings("ignore")
def test_lambda_in_a_saved_model(tmp_path: Path) -> None:
    x = L.Input((None, 3))
    path = tmp_path / "saved"
    tf_keras.Model(x, L.LSTM(4)(L.Lambda(lambda v: 2.0 * v)(x))).save(path, save_format="tf")
    assert refused(UnsupportedModel, path, tmp_path) == CODE.format(path=path)


def test_lambda_in_an_archive(tmp_path: Path) -> None:
    x = L.Input((None, 3))
    path = tmp_path / "m.keras"
    tf_keras.Model(x, L.LSTM(4)(L.Lambda(lambda v: 2.0 * v)(x))).save(path, save_format="keras")
    assert refused(UnsupportedModel, path, tmp_path) == CODE.format(path=path)


def test_a_live_lambda_layer_is_no_trouble(tmp_path: Path) -> None:
    x = L.Input((None, 3))
    model = tf_keras.Model(x, L.LSTM(4)(L.Lambda(lambda v: 2.0 * v)(x)))
    artifact = rnnport.export(model, tmp_path / "out")
    assert artifact.manifest.forms["model"].op_counts["LSTM"] == 1


def test_a_class_of_a_foreign_module(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    small().save(path, save_format="keras")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][1] |= {"module": "antigravity", "registered_name": "antigravity>X"}
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    text = refused(UnsupportedModel, path, tmp_path)
    assert text.startswith(f"model in {path} | received: a class that Keras does not know: 'LSTM'")


@pytest.mark.parametrize("symbol", ["io.write_file", "raw_ops.WriteFile", "py_function"])
def test_a_tensorflow_function_that_reaches_outside(symbol: str, tmp_path: Path) -> None:
    x = L.Input((None, 3))
    path = old_file(tf_keras.Model(x, L.LSTM(4)(tf.math.abs(x))), tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        (layer,) = every(config, "TFOpLambda")
        layer["function"] = symbol
        file.attrs["model_config"] = json.dumps(config)
    assert refused(UnsupportedModel, path, tmp_path) == message(
        f"model in {path}",
        f"the TensorFlow function {symbol!r}",
        "functions that compute",
        "build the model in Python without it, load its weights and export the live object",
    )


def test_an_unknown_layer(tmp_path: Path) -> None:
    def strange(config: dict[str, Any]) -> Any:
        return json.loads(json.dumps(config).replace('"LSTM"', '"Strange"'))

    path = old_file(small(), tmp_path / "m.h5", strange)
    assert refused(UnsupportedModel, path, tmp_path) == message(
        f"model in {path}",
        "a layer that Keras does not know: 'Strange'",
        "only what Keras knows, or what is given",
        "pass custom_objects={'Strange': Strange}, or register it with "
        "@keras.saving.register_keras_serializable() before",
    )


def test_an_unknown_activation(tmp_path: Path) -> None:
    def strange(config: dict[str, Any]) -> None:
        every(config, "LSTM")[0]["activation"] = "mish_of_ours"

    path = old_file(small(), tmp_path / "m.h5", strange)
    text = refused(UnsupportedModel, path, tmp_path)
    assert "a activation function that Keras does not know: 'mish_of_ours'" not in text
    assert "an activation function that Keras does not know: 'mish_of_ours'" in text
