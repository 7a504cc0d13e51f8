"""Large weights travel as inputs of the graph while it is traced, and are weights again after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tf_keras

import rnnport
from rnnport.capture import large
from rnnport.capture.open import open_source
from tests.tiny_keras import assert_same, lively


def model_of(module: Any) -> Any:
    """Embedding, LSTM and two heads; the embedding and a head are the large ones."""
    of = module.layers
    ids = module.Input((None,), dtype="int32", name="ids")
    y = of.LSTM(4, return_sequences=True)(of.Embedding(60, 6)(ids))
    return module.Model(ids, [of.Dense(50, name="wide")(y), of.Dense(2, name="narrow")(y)])


@pytest.mark.parametrize("module", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_equal_and_left_alone(module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "LARGE", 400)
    model = lively(model_of(module))
    attributes = [dict(vars(layer)) for layer in model.layers]
    found = large.large_variables(open_source(model))
    assert [tuple(v.shape) for v in found] == [(60, 6), (4, 50)]
    artifact = rnnport.export(model, tmp_path / "out")
    for layer, before in zip(model.layers, attributes, strict=True):
        after = vars(layer)
        assert all(
            after[name] is value for name, value in before.items() if id(value) in map(id, found)
        )
    ids = np.array([[1, 59, 3], [4, 0, 22]], "int32")
    assert_same(model(ids), rnnport.load(artifact, provider="cpu").run(ids))
    graph = onnx.load(artifact.forms["model"]).graph
    assert [value.name for value in graph.input] == ["ids"]
    sizes = sorted(int(np.prod(w.dims)) for w in graph.initializer)
    assert sizes[-2:] == [200, 360]
