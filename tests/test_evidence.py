"""What export leaves in golden.npz beyond shapes and masks, and where its truth comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import rnnport
from rnnport.artifact.golden import PROVEN_GRAPH, TENSORFLOW, THE_GRAPH, GoldenCase, read_golden
from rnnport.artifact.load import Artifact
from rnnport.capture.open import open_source
from rnnport.capture.truth import float64_twin
from tests.tiny_keras import lively


def golden(artifact: Artifact) -> dict[str, GoldenCase]:
    """Cases by the words that begin their names."""
    cases = read_golden(artifact.path / artifact.manifest.golden.file)
    return {case.name.partition(",")[0]: case for case in cases}


def masked() -> Any:
    inputs = keras.Input((None, 5), name="x")
    x = layers.Masking()(inputs)
    x = layers.Bidirectional(layers.GRU(6, return_sequences=True))(x)
    return lively(keras.Model(inputs, layers.LSTM(7, return_sequences=True, name="last")(x)))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = layers.LSTM(4, return_sequences=True)

    def call(self, x: Any) -> Any:
        return self.lstm(x)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return rnnport.export(masked(), tmp_path_factory.mktemp("evidence") / "out")


def test_every_kind_of_case_is_there(artifact: Artifact) -> None:
    cases = golden(artifact)
    assert {name: case.kind for name, case in cases.items()} == {
        "one row": "shapes",
        "plain": "shapes",
        "right-padded": "masks",
        "left-padded": "masks",
        "interior mask": "masks",
        "a row all masked": "masks",
        "one step": "shapes",
        "inputs times 0.001": "scale",
        "inputs times 1000": "scale",
        "denormal inputs": "scale",
        "long": "drift",
    }
    x = {name: next(iter(case.inputs.values())) for name, case in cases.items()}
    assert x["one step"].shape[1] == 1
    assert x["long"].shape[1] == 1000
    assert np.abs(x["inputs times 1000"]).max() > 500
    assert np.abs(x["inputs times 0.001"]).max() < 0.01
    tiny = np.abs(x["denormal inputs"])
    assert ((tiny > 0) & (tiny < np.finfo(np.float32).tiny)).mean() > 0.1
    assert (tiny[..., -1] > 1e-6).all(), "no step may vanish where denormals count as zero"


def test_truth_is_tensorflows_or_that_of_a_graph_proven_equal_to_it(artifact: Artifact) -> None:
    sources = {name: case.source for name, case in golden(artifact).items()}
    told = {name for name, source in sources.items() if source == TENSORFLOW}
    assert told == {"interior mask", "inputs times 1000"}
    assert {source for name, source in sources.items() if name not in told} == {PROVEN_GRAPH}


def test_truth_is_nearer_than_float32_and_not_the_same(artifact: Artifact) -> None:
    for case in golden(artifact).values():
        (name,) = case.outputs
        truth, given = case.truth[name], case.outputs[name]
        assert truth.dtype == np.float64
        off = np.abs(truth - given).max()
        assert 0 < off < 1e-6, case.name


def test_layers_are_what_the_model_gives_there(artifact: Artifact) -> None:
    (case,) = [case for case in golden(artifact).values() if case.layers]
    assert case.name.startswith("interior mask")
    assert len(case.layers) == 3
    assert case.layers["last"].shape[-1] == 7


def test_a_model_that_cannot_be_rebuilt_is_judged_by_its_graph_and_says_so(tmp_path: Path) -> None:
    model = Subclassed()
    model(np.zeros((1, 3, 2), np.float32))
    made = rnnport.export(
        model, tmp_path / "out", input_signature=[tf.TensorSpec([None, None, 2], tf.float32)]
    )
    assert {case.source for case in golden(made).values()} == {THE_GRAPH}
    report = rnnport.verify(made)
    assert report.passed, report.failures
    assert {found.truth for found in report.accuracy} == {THE_GRAPH}


def test_the_twin_has_the_models_weights_in_float64_and_leaves_it_alone() -> None:
    model = masked()
    before = [w.copy() for w in model.get_weights()]
    source = open_source(model)
    twin = float64_twin(source)
    assert twin is not None
    x = np.random.default_rng(0).standard_normal((2, 6, 5)).astype(np.float32)
    (y,) = twin({source.inputs[0].name: x})
    assert y.dtype == np.float64
    assert 0 < np.abs(y - np.asarray(model(x))).max() < 1e-6
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert model.compute_dtype == "float32"


def test_rows_that_mix_in_tensorflow_too_are_said_to(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("tests")
    class Mixing(layers.Layer):
        def call(self, x: Any) -> Any:
            return x - keras.ops.mean(x, axis=0, keepdims=True)

    inputs = keras.Input((None, 3))
    x = layers.LSTM(4, return_sequences=True)(inputs)
    made = rnnport.export(keras.Model(inputs, Mixing()(x)), tmp_path / "out")
    assert made.manifest.mixes_rows
    report = rnnport.verify(made)
    assert report.passed, report.failures
    assert "isolation" not in {check.kind for check in report.checks}


@pytest.mark.parametrize("factor", [1.0001, 1.001, 1.01])
def test_a_live_model_that_changed_a_little_is_not_excused(
    factor: float, artifact: Artifact
) -> None:
    """The graph in float64 would take its own side."""
    model = masked()
    assert rnnport.verify(artifact, model=model, checks=["fresh"]).passed
    model.set_weights([w * np.float32(factor) for w in model.get_weights()])
    report = rnnport.verify(artifact, model=model, checks=["fresh"])
    masked_away = {check.name for check in report.checks if check.error == 0.0}
    assert {check.name for check in report.checks if check.passed} <= masked_away
