"""What TensorFlow 1 code is refused for; in this process, which has no legacy cells by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import rnnport
from rnnport.errors import ConversionError, MissingSignature, ModelFileError, UsageError
from tests.tf1.conftest import legacy

v1 = tf.compat.v1
SIGNATURE = [tf.TensorSpec([None, 3], tf.float32)]


def dense(x: Any, units: int = 2) -> Any:
    w = v1.get_variable("w", [3, units])
    b = v1.get_variable("b", [units])
    return tf.tanh(x @ w + b)


def saved(folder: Path, names: dict[str, tuple[int, ...]]) -> str:
    with tf.Graph().as_default(), v1.Session() as session:
        for name, shape in names.items():
            v1.get_variable(name, shape)
        session.run(v1.global_variables_initializer())
        return str(v1.train.Saver().save(session, str(folder / "model")))


def refused(error: type[Exception], **keywords: Any) -> list[tuple[str, str, str, str]]:
    with pytest.raises(error) as caught:
        rnnport.export(**keywords)
    reasons = caught.value.reasons  # type: ignore[attr-defined]
    return [(r.subject, r.received, r.expected, r.remedy) for r in reasons]


def test_code_with_variables_of_a_checkpoint(tmp_path: Path) -> None:
    prefix = saved(tmp_path, {"w": (3, 2), "b": (2,), "global_step": ()})
    for given in (prefix, tmp_path):
        artifact = rnnport.export(
            dense, tmp_path / "out", input_signature=SIGNATURE, checkpoint=given, overwrite=True
        )
        assert artifact.manifest.notes == [
            "no recurrent layer was found; everything was converted by tf2onnx"
        ]
        reader = tf.train.load_checkpoint(prefix)
        x = np.ones((4, 3), np.float32)
        expected = np.tanh(x @ reader.get_tensor("w") + reader.get_tensor("b"))
        received = rnnport.load(artifact, provider="cpu").run(x)
        np.testing.assert_allclose(received, expected, rtol=0, atol=1e-6)
        report = rnnport.verify(artifact, model=dense, input_signature=SIGNATURE, checkpoint=prefix)
        assert report.passed


def test_variables_of_a_live_session(tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        y = dense(tf.ones([1, 3]))
        session.run(v1.global_variables_initializer())
        expected = session.run(y)
        rnnport.export(dense, tmp_path / "out", input_signature=SIGNATURE, checkpoint=session)
    received = rnnport.load(tmp_path / "out", provider="cpu").run(np.ones((1, 3), np.float32))
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-6)


def test_without_a_checkpoint_the_manifest_says_so(tmp_path: Path) -> None:
    artifact = rnnport.export(dense, tmp_path / "out", input_signature=SIGNATURE)
    said = "no checkpoint was given: the variables hold what their initialisers gave"
    assert said in artifact.manifest.notes


def test_a_checkpoint_of_another_model(tmp_path: Path) -> None:
    prefix = saved(tmp_path, {"w": (3, 5), "c": (2,)})
    reasons = refused(
        ModelFileError,
        model=dense,
        out=tmp_path / "out",
        input_signature=SIGNATURE,
        checkpoint=prefix,
    )
    remedy = "pass the checkpoint of this model, or build the variables under the names it has"
    assert reasons == [
        (
            "variable 'w'",
            f"shape (3, 5) in checkpoint {prefix}",
            "float32 (3, 2)",
            remedy,
        ),
        (
            "variable 'b'",
            f"no such variable in checkpoint {prefix}, which holds c, w",
            "float32 (2,)",
            remedy,
        ),
    ]
    assert not (tmp_path / "out").exists()


def test_no_checkpoint_there(tmp_path: Path) -> None:
    ((subject, _, expected, remedy),) = refused(
        ModelFileError,
        model=dense,
        out=tmp_path / "out",
        input_signature=SIGNATURE,
        checkpoint=tmp_path / "nothing",
    )
    assert subject == f"checkpoint {tmp_path / 'nothing'}"
    assert expected == "what tf.compat.v1.train.Saver.save wrote"
    assert remedy.startswith("pass the path without .index")


@pytest.mark.parametrize("ending", [".index", ".meta", ".data-00000-of-00001"])
def test_a_file_of_a_checkpoint_in_place_of_its_prefix(ending: str, tmp_path: Path) -> None:
    prefix = saved(tmp_path, {"w": (3, 2), "b": (2,)})
    ((subject, received, expected, remedy),) = refused(
        ModelFileError,
        model=dense,
        out=tmp_path / "out",
        input_signature=SIGNATURE,
        checkpoint=f"{prefix}{ending}",
    )
    assert subject == f"checkpoint {prefix}{ending}"
    assert (received == "no variables") == (ending == ".index")
    assert expected == "what tf.compat.v1.train.Saver.save wrote"
    assert remedy == f"pass the prefix that all files of the checkpoint share: {prefix}"


def test_a_variable_made_once_for_all_calls(tmp_path: Path) -> None:
    kept: list[Any] = []

    def keeping(x: Any) -> Any:
        if not kept:
            kept.append(v1.get_variable("kept/w", [3, 2]))
        return x @ kept[0]

    reasons = refused(
        ConversionError, model=keeping, out=tmp_path / "out", input_signature=SIGNATURE
    )
    assert reasons == [foreign("keeping", "kept/w")]


def test_a_cell_made_outside_of_the_function(tmp_path: Path) -> None:
    code = f"""
import tensorflow.compat.v1 as tf
import rnnport
cell = tf.nn.rnn_cell.LSTMCell(4)
def model(x):
    return tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)[0]
try:
    rnnport.export(
        model, {str(tmp_path / "out")!r}, input_signature=[tf.TensorSpec([None, None, 3])]
    )
except rnnport.errors.ConversionError as error:
    print(*error.reasons)
"""
    done = legacy("-c", code)
    assert done.returncode == 0, done.stderr[-2000:]
    subject, received, expected, remedy = foreign("model", "rnn/lstm_cell/kernel")
    assert done.stdout.strip() == (
        f"{subject} | received: {received} | expected: {expected} | remedy: {remedy}"
    )


def foreign(name: str, tensor: str) -> tuple[str, str, str, str]:
    return (
        f"function {name!r}",
        f"{tensor!r}, which an earlier call of the function or other code made in its graph",
        "every cell, layer and variable made anew by each call: each has a graph of its own",
        "make the cells and layers inside the function, and let it keep none",
    )


def test_no_signature(tmp_path: Path) -> None:
    ((subject, received, _, remedy),) = refused(MissingSignature, model=dense, out=tmp_path / "out")
    assert (subject, received) == ("function 'dense'", "no input_signature")
    assert "tf.function" in remedy


def test_code_that_raises(tmp_path: Path) -> None:
    def broken(x: Any) -> Any:
        raise RuntimeError("no such luck")

    ((subject, received, expected, remedy),) = refused(
        ConversionError, model=broken, out=tmp_path / "out", input_signature=SIGNATURE
    )
    assert subject == "function 'broken'"
    assert received == "RuntimeError: no such luck"
    assert expected.endswith("from these placeholders: (None, 3)")
    assert "tf.Graph().as_default()" in remedy


def test_code_that_returns_nothing(tmp_path: Path) -> None:
    def silent(x: Any) -> Any:
        return None

    ((subject, received, _, _),) = refused(
        ConversionError, model=silent, out=tmp_path / "out", input_signature=SIGNATURE
    )
    assert (subject, received) == ("function 'silent'", "no tensor")


def test_cells_without_legacy_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)

    def old(x: Any) -> Any:
        return v1.nn.rnn_cell.GRUCell(3)(x, x)

    ((subject, received, expected, remedy),) = refused(
        UsageError, model=old, out=tmp_path / "out", input_signature=SIGNATURE
    )
    assert subject == "function 'old'"
    assert received == (
        "cells of tf.compat.v1.nn.rnn_cell in a process without TF_USE_LEGACY_KERAS=1"
    )
    assert expected == "TF_USE_LEGACY_KERAS=1 before TensorFlow is imported"
    assert remedy.startswith("start Python with TF_USE_LEGACY_KERAS=1 in the environment")
