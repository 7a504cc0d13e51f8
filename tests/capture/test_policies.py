"""Models under other dtype policies: computed in float32, equal to the float32 model they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras

import rnnport
from rnnport.errors import UnsupportedModel
from tests.tiny_cells import TwoStates
from tests.tiny_keras import assert_same, lively, normal

POLICIES = ["mixed_float16", "mixed_bfloat16", "float64", "float16"]


def layers(module: Any, policy: str) -> Any:
    """GRU, masked LSTM and Dense, all under one policy."""
    of = module.layers
    x = module.Input((None, 3), name="x")
    y = of.Masking(0.0, dtype=policy)(x)
    y = of.GRU(5, return_sequences=True, dtype=policy, name="one")(y)
    y = of.Bidirectional(of.LSTM(4, dtype=policy), dtype=policy, name="two")(y)
    return module.Model(x, of.Dense(2, dtype=policy, name="three")(y))


def twins(build: Callable[[str], Any], policy: str) -> tuple[Any, Any]:
    """The model, and the same in float32 with its weights as float32."""
    model, plain = build(policy), build("float32")
    lively(plain, seed=2)
    model.set_weights(plain.get_weights())
    plain.set_weights([np.asarray(w, "float32") for w in model.get_weights()])
    return model, plain


@pytest.mark.parametrize(
    ("module", "policy"),
    [*((keras, policy) for policy in POLICIES), (tf_keras, "mixed_float16"), (tf_keras, "float64")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_equal_to_the_float32_model(module: Any, policy: str, tmp_path: Path) -> None:
    model, plain = twins(lambda name: layers(module, name), policy)
    before = [np.asarray(w).tobytes() for w in model.get_weights()]
    artifact = rnnport.export(model, tmp_path / "out")
    ops = artifact.manifest.forms["model"].op_counts
    assert "GRU" in ops
    assert "LSTM" in ops
    assert "Loop" not in ops
    x = normal(3, 7, 3)
    x[1, 4:] = 0
    assert_same(plain(x), rnnport.load(artifact, provider="cpu").run(x))
    assert rnnport.verify(artifact, model=model).passed
    (note,) = [n for n in artifact.manifest.notes if n.startswith("computed in float32")]
    assert policy in note
    assert "one" in note
    assert [np.asarray(w).tobytes() for w in model.get_weights()] == before
    assert model.get_layer("one").dtype_policy.name == policy
    if policy != "float16":  # whose kernels not every processor has
        difference = float(note.rsplit(" ", 1)[1])
        low, high = (0, 1e-5) if policy == "float64" else (1e-5, 0.1)
        assert low <= difference <= high


def test_a_custom_cell_and_a_subclassed_model(tmp_path: Path) -> None:
    class Model(keras.Model):  # type: ignore[misc]
        def __init__(self, policy: str) -> None:
            super().__init__(dtype=policy)
            self.rnn = keras.layers.RNN(
                TwoStates(4, 2, dtype=policy), return_sequences=True, dtype=policy
            )
            self.head = keras.layers.Dense(2, dtype=policy)

        def call(self, x: Any) -> Any:
            return self.head(self.rnn(x))

    x = normal(3, 7, 3)
    previous = keras.config.dtype_policy()
    try:
        built = {}
        for policy in ("float32", "mixed_bfloat16"):
            keras.config.set_dtype_policy(policy)
            built[policy] = Model(policy)
            built[policy](x)
    finally:
        keras.config.set_dtype_policy(previous)
    plain, model = lively(built["float32"]), built["mixed_bfloat16"]
    model.set_weights(plain.get_weights())
    artifact = rnnport.export(model, tmp_path / "out")
    assert artifact.manifest.streamable.ok
    assert_same(plain(x), rnnport.load(artifact, provider="cpu").run(x))


def test_inputs_keep_their_dtype(tmp_path: Path) -> None:
    """A drop-in takes what the model takes, float64 here."""
    x = keras.Input((None, 3), dtype="float64", name="x")
    model = keras.Model(x, keras.layers.LSTM(4, dtype="float64")(x))
    artifact = rnnport.export(lively(model), tmp_path / "out")
    assert artifact.manifest.forms["model"].inputs[0].dtype == "float64"
    given = normal(2, 6, 3).astype("float64")
    received = rnnport.load(artifact, provider="cpu").run(given)
    assert received.dtype == np.float32
    np.testing.assert_allclose(received, model(given), atol=1e-5)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_ids_of_either_size(dtype: str, tmp_path: Path) -> None:
    ids = keras.Input((None,), dtype=dtype, name="ids")
    y = keras.layers.LSTM(4)(keras.layers.Embedding(9, 3, mask_zero=True)(ids))
    model = lively(keras.Model(ids, y))
    artifact = rnnport.export(model, tmp_path / "out")
    assert artifact.manifest.forms["model"].inputs[0].dtype == dtype
    given = np.array([[1, 8, 3, 0], [4, 0, 2, 5]], dtype)
    assert_same(model(given), rnnport.load(artifact, provider="cpu").run(given))


def test_what_cannot_be_rebuilt_is_refused(tmp_path: Path) -> None:
    class Model(tf_keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="mine")
            self.rnn = tf_keras.layers.LSTM(4, dtype="float64")

        def call(self, x: Any) -> Any:
            return self.rnn(x)

    model = Model()
    model(normal(2, 5, 3))
    with pytest.raises(UnsupportedModel) as caught:
        rnnport.export(model, tmp_path / "out")
    assert str(caught.value).startswith("dtype policy of 'mine' | received: float64 | expected: ")
    assert "set_global_policy('float32')" in str(caught.value)
