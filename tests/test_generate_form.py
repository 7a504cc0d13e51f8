"""generate.onnx: the whole greedy loop in one graph, token for token the plain loop's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime as ort
import pytest

import rnnport
from rnnport import Generate
from rnnport.errors import NotYetAvailable, UsageError
from tests.test_handoff_forms import SOURCE, TARGET, attending, classifier, stacked, tutorial
from tests.tiny_keras import lively

START, STOP = 1, 2


def keras_loop(model: Any, source: np.ndarray, stops: list[int], steps: int) -> np.ndarray:
    """What everybody writes: the whole training model, once for every token."""
    rows = []
    for row in source:
        tokens = [START]
        for _ in range(steps):
            given = np.asarray(model([row[None], np.array([tokens], "int32")]))
            best = int((given[0, -1] if given.ndim == 3 else given[0]).argmax())
            if best in stops:
                break
            tokens.append(best)
        rows.append(tokens[1:] + [-1] * steps)
    return np.array([row[:steps] for row in rows])


@pytest.mark.parametrize(
    ("label", "build"),
    [
        ("LSTM", tutorial()),
        ("last output only", tutorial("GRU", sequences=False)),
        ("stacked", stacked),
        ("attention", attending("Attention", mask=True)),
        ("heads", attending("MultiHeadAttention", mask=True)),
    ],
)
def test_tokens_are_those_of_the_plain_loop(label: str, build: Any, tmp_path: Path) -> None:
    model = lively(build(), seed=6)
    for weight in model.trainable_weights:
        weight.assign(2.0 * weight)
    wish = Generate(start=START, stop=[STOP, 7], max_steps=9)
    artifact = rnnport.export(model, tmp_path / "out", generate=wish)
    assert artifact.manifest.generate == wish
    assert artifact.manifest.forms["generate"].op_counts["Loop"] == 1
    session = ort.InferenceSession(str(artifact.forms["generate"]))
    rng = np.random.default_rng(3)
    source = rng.integers(1, SOURCE, (5, 8)).astype("int32")
    source[0, 3:] = 0 if "att" in label or "heads" in label else source[0, 3:]
    (ids,) = session.run(None, {"source": source})
    expected = keras_loop(model, source, wish.stops, 9)
    assert len(set(map(tuple, expected))) > 1
    np.testing.assert_array_equal(ids, expected[:, : ids.shape[1]])
    assert (expected[:, ids.shape[1] :] == -1).all()


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (
            Generate(start=TARGET, stop=2, max_steps=5),
            f"start {TARGET} | expected: 0 to {TARGET - 1}",
        ),
        (Generate(start=1, stop=[2, -1], max_steps=5), "stop -1 | expected: 0 to 29"),
        (Generate(start=1, stop=2, max_steps=0), "max_steps 0 | expected: at least 1"),
        (Generate(start=1, stop=2, max_steps=5, beam_width=0), "beam_width 0"),
        (Generate(start=1, stop=[], max_steps=5), "no stop"),
        ({"start": 1}, "generate | received: dict | expected: rnnport.Generate"),
    ],
)
def test_wishes_that_cannot_be(wish: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        rnnport.export(tutorial()(), tmp_path / "out", generate=wish)
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_no_decoder_to_loop_over(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no recurrent layer starts from a state"):
        rnnport.export(
            classifier(), tmp_path / "out", generate=Generate(start=1, stop=2, max_steps=3)
        )


def test_a_beam_comes_later(tmp_path: Path) -> None:
    wish = Generate(start=1, stop=2, max_steps=3, beam_width=4)
    with pytest.raises(NotYetAvailable, match="beam_width 4"):
        rnnport.export(keras.Sequential(), tmp_path / "out", generate=wish)
