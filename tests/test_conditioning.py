"""Differences that rounding explains are told from those it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnx.numpy_helper
import pytest

import rnnport
from rnnport.artifact.golden import read_golden
from rnnport.conditioning import conditioning
from rnnport.errors import ParityError
from rnnport.parity.compare import Comparison, compare_all
from tests.tiny_keras import lively

L = keras.layers


def chaotic() -> Any:
    """A network whose weights are far too large for its sums: a last bit becomes a digit."""
    model = keras.Sequential(
        [keras.Input((40, 3), name="x"), L.SimpleRNN(24, return_sequences=True), L.Dense(1)]
    )
    lively(model, seed=1)
    recurrent = model.layers[0].cell.recurrent_kernel
    recurrent.assign(2.5 * recurrent)
    return model


def test_a_chaotic_model_is_held_to_what_rounding_does(tmp_path: Path) -> None:
    artifact = rnnport.export(chaotic(), tmp_path / "out")
    manifest = artifact.manifest
    assert set(manifest.conditioning) == {"output"}
    assert 1e-5 < manifest.conditioning["output"] <= 0.05
    words = ("ill-conditioned", "against float64, from which TensorFlow itself is")
    assert any(word in check.note for check in manifest.parity for word in words)
    assert any("last bits of the weights move it" in note for note in manifest.notes)
    assert rnnport.verify(artifact).passed


def test_a_stable_model_is_held_to_the_tolerance(tmp_path: Path) -> None:
    x = keras.Input((None, 3))
    model = lively(keras.Model(x, L.LSTM(8, return_sequences=True)(x)))
    artifact = rnnport.export(model, tmp_path / "out")
    assert artifact.manifest.conditioning == {}
    form = artifact.manifest.forms["model"]
    golden = read_golden(artifact.path / "golden.npz")
    cases = [case for case in golden if case.kind in ("shapes", "masks")]
    (move,) = conditioning(artifact.forms["model"], form, cases).values()
    assert 0 < move < 1e-6


def test_a_wrong_graph_of_a_chaotic_model_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bias of a thousandth more is no rounding."""
    from rnnport import building

    original = building.write_onnx

    def wrong(model: Any, path: Path) -> Any:
        written = original(model, path)
        proto = onnx.load(path)
        for tensor in proto.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor)
            if array.dtype == np.float32 and array.ndim == 3:
                changed = onnx.numpy_helper.from_array(array * 1.3, tensor.name)
                tensor.CopyFrom(changed)
        onnx.save(proto, path)
        return written

    monkeypatch.setattr(building, "write_onnx", wrong)
    with pytest.raises(ParityError):
        rnnport.export(chaotic(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("move", "passed"), [(0.0, False), (5e-4, False), (2e-3, True)])
def test_a_difference_passes_only_below_what_rounding_does(move: float, passed: bool) -> None:
    expected = np.array([2.0, -1.0, 0.5], np.float32)
    run = Comparison("golden 1", {"y": expected}, {"y": expected + np.float32(2e-3)})
    (check,) = compare_all("golden", [run], ["y"], 1e-5, {"y": move})
    assert check.passed is passed
    assert ("ill-conditioned" in check.note) is passed


def test_nan_is_never_explained_by_rounding() -> None:
    expected = np.array([2.0, -1.0], np.float32)
    run = Comparison("golden 1", {"y": expected}, {"y": np.array([2.0, np.nan], np.float32)})
    (check,) = compare_all("golden", [run], ["y"], 1e-5, {"y": 0.05})
    assert not check.passed
