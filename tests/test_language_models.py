"""Decoder-only models: no cut is needed, the stream form goes on from a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import rnnport
from tests.tiny_cells import Minimal
from tests.tiny_keras import lively

L = keras.layers
WORDS, STOP = 17, 3


def language_model(*layers: Any) -> Any:
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32", name="ids"),
            L.Embedding(WORDS, 6),
            *layers,
            L.Dense(WORDS, activation="softmax"),
        ]
    )
    lively(model, seed=5)
    for weight in model.trainable_weights:
        weight.assign(1.7 * weight)
    return model


MODELS = {
    "stacked LSTM": lambda: [L.LSTM(8, return_sequences=True), L.LSTM(7, return_sequences=True)],
    "GRU, last step only": lambda: [L.GRU(9)],
    "a custom cell": lambda: [L.RNN(Minimal(9), return_sequences=True)],
}


def keras_loop(model: Any, prompt: list[int], steps: int) -> list[int]:
    """The whole model, once for every token."""
    ids = list(prompt)
    for _ in range(steps):
        scores = np.asarray(model(np.array([ids], "int32")))[0]
        best = int((scores[-1] if scores.ndim == 2 else scores).argmax())
        if best == STOP:
            break
        ids.append(best)
    return ids[len(prompt) :]


@pytest.mark.parametrize("label", MODELS)
def test_prompts_go_on_as_in_keras(label: str, tmp_path: Path) -> None:
    model = language_model(*MODELS[label]())
    artifact = rnnport.export(model, tmp_path / "out")
    assert artifact.manifest.streamable.ok
    assert not artifact.manifest.handoff.ok
    runner = rnnport.load(artifact, provider="cpu")
    prompts = [[1, 4, 5], [2], [9, 8, 7, 6, 5, 4]]
    found = runner.generate(
        [np.array(p, "int32") for p in prompts], start=None, stop=STOP, max_steps=12
    )
    expected = [keras_loop(model, prompt, 12) for prompt in prompts]
    assert [list(map(int, ids)) for ids in found] == expected
    assert len({tuple(ids) for ids in expected}) == 3
    told = [int(ids[0]) for ids in runner.generate_stream([prompts[0]], stop=STOP, max_steps=12)]
    assert told == expected[0]
