"""rnnport.testing: what users' own suites call."""

from __future__ import annotations

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path

import keras
import pytest

import rnnport
from rnnport.errors import UsageError
from rnnport.testing import assert_parity


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    layers = [keras.Input((None, 3)), keras.layers.LSTM(4, name="lstm"), keras.layers.Dense(2)]
    return keras.Sequential(layers, name="little")


def test_a_model_that_is_equal_gives_its_artifact(model: keras.Model) -> None:
    artifact = assert_parity(model)
    folder = artifact.path
    assert rnnport.open(folder).manifest.name == "little"
    assert [layer.lowering for layer in artifact.manifest.layers] == ["LSTM"]
    del artifact
    gc.collect()
    assert not folder.parent.exists()


def test_a_bound_that_nothing_meets_fails_and_tells(model: keras.Model, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    with pytest.raises(AssertionError) as caught:
        assert_parity(model, tolerance=1e-12, keep=tmp_path / "kept", report=page)
    story = str(caught.value).splitlines()
    assert story[0].startswith("little on cpu: ")
    assert "passes at the table's bound, 1.0e-05" in story[1]
    assert "held to tolerance=1e-12" in story
    assert story[-1] == f"report: {page}"
    assert "passes at the table&#x27;s bound" in page.read_text("utf-8")
    # Kept, and right by rnnport's own bound.
    assert rnnport.verify(tmp_path / "kept").passed


def test_an_artifact_is_compared_with_the_model_and_with_another(
    model: keras.Model, tmp_path: Path
) -> None:
    artifact = assert_parity(model, keep=tmp_path / "kept")
    assert assert_parity(model, artifact=tmp_path / "kept").path == artifact.path
    other = keras.models.clone_model(model)
    with pytest.raises(AssertionError, match="output output: max abs error") as caught:
        assert_parity(other, artifact=artifact)
    assert "its bound)" in str(caught.value)
    assert assert_parity(other, artifact=artifact, tolerance=10.0) is artifact
    # Over what is there, as a second run of a suite does.
    assert assert_parity(other, keep=tmp_path / "kept").path == artifact.path


def test_what_cannot_be_meant_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        assert_parity(None, keep=tmp_path, artifact=tmp_path)
    assert str(caught.value) == (
        "keep, artifact | received: both | expected: keep, the folder of a new artifact, or "
        "artifact, one that is there | remedy: leave one out"
    )
    with pytest.raises(UsageError, match=r"ends in \.html"):
        assert_parity(None, report=tmp_path / "r.txt")
