"""tf_keras's classes are as they were after every trace, and its models too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras.src.utils import generic_utils

import rnnport
from rnnport.capture.context import TraceContext
from rnnport.capture.intercept import intercepting
from rnnport.capture.patches import eager_patches, graph_patches, trace_patches
from rnnport.errors import ConversionError
from tests.keras2.proving import L, functional
from tests.tiny_keras import bits, lively, normal

_ABSENT = object()


def _standing() -> list[Any]:
    patches = [*trace_patches(), *eager_patches(), *graph_patches()]
    return [vars(p.owner).get(p.name, _ABSENT) for p in patches]


@pytest.fixture(autouse=True)
def classes_untouched() -> Iterator[None]:
    before = _standing()
    yield
    assert all(a is b for a, b in zip(before, _standing(), strict=True))


def test_a_model_goes_on_as_before(tmp_path: Path) -> None:
    model = functional(L.Bidirectional(L.LSTM(4, return_sequences=True)), mask=True)
    x = normal(2, 7, 3)
    before = bits([model(x), model.predict(x, verbose=0), model.get_weights()])
    rnnport.export(model, tmp_path / "out")
    assert bits([model(x), model.predict(x, verbose=0), model.get_weights()]) == before
    model.compile("sgd", "mse")
    model.fit(x, normal(2, 7, 8), verbose=0)


@tf.function
def _inner(layer: Any, x: Any) -> Any:
    return layer(x)


class Decorated(tf_keras.Model):
    """A call that is a tf.function, with a cached trace."""

    def __init__(self) -> None:
        super().__init__(name="decorated")
        self.rnn, self.head = L.GRU(5, return_sequences=True), L.Dense(2)

    @tf.function
    def call(self, x: Any) -> Any:
        return self.head(_inner(self.rnn, x))


def test_inner_functions_are_inlined(tmp_path: Path) -> None:
    model = Decorated()
    x = normal(2, 7, 3)
    model(x)
    lively(model)
    before = bits(model(x))
    artifact = rnnport.export(model, tmp_path / "out")
    assert artifact.manifest.forms["model"].op_counts["GRU"] == 1
    assert bits(model(x)) == before
    received = rnnport.load(artifact, provider="cpu").run(x)
    np.testing.assert_allclose(received, model(x), atol=1e-5)


def test_what_a_call_takes_stays_visible() -> None:
    with intercepting(TraceContext(), trace_patches()):
        for name in ("mask", "training", "initial_state"):
            assert generic_utils.has_arg(L.LSTM(3).call, name)


def test_a_failed_trace_leaves_nothing(tmp_path: Path) -> None:
    class Broken(tf_keras.Model):
        def call(self, x: Any) -> Any:
            if not tf.executing_eagerly():
                raise RuntimeError("not while tracing")
            return x

    model = Broken()
    model(normal(2, 7, 3))
    with pytest.raises(ConversionError, match="not while tracing"):
        rnnport.export(model, tmp_path / "out")


def test_both_generations_side_by_side(tmp_path: Path) -> None:
    import keras

    ours = keras.Sequential([keras.Input((None, 3)), keras.layers.GRU(4)])
    for model in (functional(L.GRU(4)), lively(ours)):
        artifact = rnnport.export(model, tmp_path / "out", overwrite=True)
        assert artifact.manifest.forms["model"].op_counts["GRU"] == 1
        assert rnnport.verify(artifact, model=model).passed
