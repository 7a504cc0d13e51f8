"""Models, files and arguments that are refused; the whole message is read."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

import rnnport
from rnnport import Generate
from rnnport.errors import (
    ArtifactExists,
    MissingSignature,
    ModelFileError,
    RnnportError,
    UnsupportedModel,
    UsageError,
)
from tests.capture.test_open import Hand, Tripled, model_with
from tests.tiny_keras import normal

L = keras.layers


def refused(kind: type[RnnportError], model: Any, folder: Path, **options: Any) -> str:
    """Export is refused, leaves nothing behind, and this is the message."""
    before = sorted(p.name for p in folder.iterdir())
    with pytest.raises(kind) as caught:
        rnnport.export(model, folder / "out", **options)
    assert type(caught.value) is kind
    assert sorted(p.name for p in folder.iterdir()) == before
    return str(caught.value)


def message(subject: Any, received: str, expected: str, remedy: str) -> str:
    return f"{subject} | received: {received} | expected: {expected} | remedy: {remedy}"


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.keras"
    assert refused(ModelFileError, path, tmp_path) == message(
        path, "no such file", "a .keras or .h5 model file", "check the path"
    )


def test_text_named_keras(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_text("this is no model\n" * 9)
    assert refused(ModelFileError, str(path), tmp_path) == message(
        path,
        "not a zip archive",
        "a .keras archive written by model.save",
        "save the model again, or copy the whole file",
    )


@pytest.mark.parametrize("kept", [2000, 0.5, 0.99])
def test_truncated_keras(kept: float, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    model_with().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    assert refused(ModelFileError, path, tmp_path) == message(
        path,
        "its beginning is a zip archive's, its end is missing: truncated",
        "a .keras archive written by model.save",
        "save the model again, or copy the whole file",
    )


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(b"")
    assert "received: not a zip archive" in refused(ModelFileError, path, tmp_path)


def test_damaged_inside(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    model_with().save(path)
    content = bytearray(path.read_bytes())
    middle = content.index(b"model.weights.h5") + 4000
    content[middle] ^= 255
    path.write_bytes(content)
    assert refused(ModelFileError, path, tmp_path) == message(
        path,
        "BadZipFile: Bad CRC-32 for file 'model.weights.h5'",
        "a model this Keras can load",
        "open it with the Keras that wrote it and save it again as .keras",
    )


def test_h5_that_is_no_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(b"PK\x03\x04 something else")
    assert refused(ModelFileError, path, tmp_path) == message(
        path, "not an HDF5 file", "a model written by model.save('x.h5')", "save it again"
    )


def test_weights_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    model_with().save_weights(path)
    assert refused(ModelFileError, path, tmp_path) == message(
        path,
        "an HDF5 file with weights alone, without model_config",
        "a whole model written by model.save('x.h5')",
        "build the model in Python, call load_weights and export the live object",
    )


def test_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "saved_model"
    path.mkdir()
    assert refused(ModelFileError, path, tmp_path) == message(
        path,
        "a folder",
        "a .keras or .h5 model file",
        "save the model with model.save('x.keras'); a SavedModel folder holds saved_model.pb",
    )


@pytest.mark.parametrize(("name", "shown"), [("m.pt", "'.pt'"), ("model", "'nothing'")])
def test_unknown_suffix(name: str, shown: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"weights")
    assert refused(ModelFileError, path, tmp_path) == message(
        path,
        f"a file ending in {shown}",
        "a name ending in .keras, .h5, .hdf5 or .pb",
        "rename the file to what it is",
    )


def test_unknown_custom_layer(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    model_with(Tripled()).save(path)
    assert refused(UnsupportedModel, _rezipped(path), tmp_path) == message(
        f"model in {path}",
        "a class that Keras does not know: 'Tripled'",
        "only what Keras knows, or what is given",
        "pass custom_objects={'Tripled': Tripled}, or register it with "
        "@keras.saving.register_keras_serializable() before",
    )


def test_unknown_layer_in_an_h5_file(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_model_to_hdf5(model_with(Tripled()), str(path))
    assert refused(UnsupportedModel, path, tmp_path) == message(
        f"model in {path}",
        "a layer that Keras does not know: 'Tripled'",
        "only what Keras knows, or what is given",
        "pass custom_objects={'Tripled': Tripled}, or register it with "
        "@keras.saving.register_keras_serializable() before",
    )


def _rezipped(path: Path) -> Path:
    """The same archive, its custom layer from a module that nobody has.

    A module that can be imported would be.
    """
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = parts["config.json"].replace(b"tests.capture.", b"nobody_has.")
    parts["config.json"] = config
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_lambda_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    model_with(L.Lambda(lambda x: 2.0 * x)).save(path)
    assert refused(UnsupportedModel, path, tmp_path) == message(
        f"model in {path}",
        "Python code of a lambda, which loading would run",
        "a file that brings no code along",
        "replace the lambda by a layer class or a named function, or build the model in "
        "Python, load its weights and export the live object",
    )


def _twice(x: Any) -> Any:
    return 2.0 * x


def test_unknown_activation_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    model_with(L.LSTM(3, activation=_twice, return_sequences=True)).save(path)
    text = refused(UnsupportedModel, _rezipped(path), tmp_path)
    assert text == message(
        f"model in {path}",
        "a function that Keras does not know: '_twice'",
        "only what Keras knows, or what is given",
        "pass custom_objects={'_twice': _twice}, or register it with "
        "@keras.saving.register_keras_serializable() before",
    )
    artifact = rnnport.export(path, tmp_path / "out", custom_objects={"_twice": _twice})
    assert [layer.lowering for layer in artifact.manifest.layers] == ["LSTM", "LSTM"]


def test_sequential_of_unknown_features(tmp_path: Path) -> None:
    model = keras.Sequential([L.LSTM(4), L.Dense(2)], name="lazy")
    assert refused(MissingSignature, model, tmp_path) == message(
        "Sequential model 'lazy'",
        "a model that was never built or called",
        "known input features",
        "call model.build((None, None, features)), or pass input_signature="
        "[tf.TensorSpec([None, None, features], tf.float32)]",
    )
    assert not model.built


def test_an_empty_sequential(tmp_path: Path) -> None:
    text = refused(MissingSignature, keras.Sequential(name="empty"), tmp_path)
    assert text.startswith("Sequential model 'empty' | received: a model that was never built")


def test_subclassed_that_was_never_called(tmp_path: Path) -> None:
    assert refused(MissingSignature, Hand(), tmp_path) == message(
        "Hand 'hand'",
        "a model whose input shapes nobody recorded",
        "a model that was called once, or an input_signature",
        "call it on one batch, or pass input_signature=[tf.TensorSpec([None, None, 8])]",
    )


def test_two_arguments_of_which_keras_records_one(tmp_path: Path) -> None:
    class Two(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="two")
            self.rnn = L.LSTM(4)

        def call(self, signal: Any, start: Any, *, scale: float = 1.0) -> Any:
            return self.rnn(signal, initial_state=[start, start]) * scale

    model = Two()
    model(normal(2, 5, 3), normal(2, 4))
    assert refused(MissingSignature, model, tmp_path) == message(
        "Two 'two'",
        "a call of 2 inputs (signal, start), of which Keras records one",
        "an input_signature",
        "pass input_signature with one tf.TensorSpec for each, in this order",
    )


def test_an_unbuilt_cell(tmp_path: Path) -> None:
    assert refused(MissingSignature, L.GRUCell(4, name="bare"), tmp_path) == message(
        "cell 'bare'",
        "a cell that was never built",
        "known input features",
        "call cell.build((None, features)), or pass input_signature="
        "[tf.TensorSpec([None, features], tf.float32)]",
    )


def test_a_function_without_signature(tmp_path: Path) -> None:
    assert refused(MissingSignature, tf.function(lambda x: x), tmp_path) == message(
        "tf.function",
        "no input_signature",
        "known shapes and dtypes",
        "pass input_signature=[tf.TensorSpec([None, None, 8], tf.float32)]",
    )


@pytest.mark.parametrize(
    ("thing", "name"),
    [(42, "builtins.int"), (None, "builtins.NoneType"), ([], "builtins.list")],
)
def test_no_model_at_all(thing: Any, name: str, tmp_path: Path) -> None:
    assert refused(UnsupportedModel, thing, tmp_path) == message(
        "model",
        name,
        "a model, layer or cell of Keras 3 or tf_keras, a tf.function, or the path of a model file",
        "rebuild it with Keras, or pass TensorFlow 1 code as a function of placeholders",
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"precision": "int4"},
            ("precision", "'int4'", "one of float32, float16, int8", "choose one"),
        ),
        (
            {"precision": "float16", "target": "cpu"},
            (
                "precision, target",
                "float16, cpu",
                "target 'cuda': float16 gains nothing elsewhere",
                "choose that target, or leave precision out",
            ),
        ),
        (
            {"precision": "int8", "target": "openvino"},
            (
                "precision, target",
                "int8, openvino",
                "target 'cpu': int8 gains nothing elsewhere",
                "choose that target, or leave precision out",
            ),
        ),
        (
            {"precision": "float16", "generate": Generate(start=1, stop=2, max_steps=3)},
            (
                "generate, precision",
                "generate= with float16",
                "generate.onnx in float32 or int8: a loop in float16 was not proven token for "
                "token",
                "leave generate out and call runner.generate",
            ),
        ),
    ],
)
def test_precisions_that_gain_nothing(given: Any, words: Any, tmp_path: Path) -> None:
    assert refused(UsageError, object(), tmp_path, **given) == message(*words)


def test_what_is_for_graphs_alone(tmp_path: Path) -> None:
    given = {"states": {"a": "b"}, "checkpoint": "x"}
    assert refused(UsageError, keras.layers.LSTM(3), tmp_path, **given).splitlines() == [
        message(
            "checkpoint",
            "LSTM",
            "a Python function of placeholders as the model",
            "leave checkpoint out",
        ),
        message(
            "states",
            "LSTM",
            "the path of a frozen graph or SavedModel",
            "leave states out: they are found",
        ),
    ]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"target": "tpu"},
            message("target", "'tpu'", "one of portable, cpu, cuda, openvino", "choose one"),
        ),
        ({"opset": 9}, message("opset", "9", "18", "leave it out")),
    ],
)
def test_wrong_values(given: dict[str, Any], text: str, tmp_path: Path) -> None:
    assert refused(UsageError, object(), tmp_path, **given) == text


def test_a_target_that_is_not_empty(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    assert refused(ArtifactExists, model_with(), tmp_path) == message(
        f"folder {out}",
        "not empty (1 entries)",
        "a new or empty folder",
        "pass overwrite=True (--overwrite) to replace it, or choose another folder",
    )
    text = refused(ArtifactExists, model_with(), tmp_path, overwrite=True)
    assert text == message(
        f"folder {out}",
        "not empty (1 entries), without rnnport.json",
        "an rnnport artifact to overwrite",
        "choose another folder, or empty this one",
    )
    assert (out / "precious.txt").read_text() == "mine"


def test_an_operation_without_onnx(tmp_path: Path) -> None:
    class Angles(L.Layer):
        def call(self, x: Any) -> Any:
            return tf.math.lgamma(tf.abs(x) + 1.0)

    text = refused(UnsupportedModel, model_with(Angles()), tmp_path)
    assert text == message(
        "TensorFlow operation Lgamma",
        "an operation tf2onnx has no ONNX for",
        "operations that ONNX can express",
        "replace it in the model, or leave it outside and apply it to the output",
    )


def test_verify_refuses_the_same_files(tmp_path: Path) -> None:
    artifact = rnnport.export(model_with(), tmp_path / "out")
    with pytest.raises(ModelFileError, match="no such file"):
        rnnport.verify(artifact, model=tmp_path / "none.keras")
