from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnport.errors import InputError, NotGenerative, UsageError
from tests.runtime.seq2seq import Plain, message, run, runner

RNG = np.random.default_rng(3)
SOURCES = [RNG.standard_normal((n, 2)).astype(np.float32) for n in (4, 1, 6, 4)]
START = np.array([0.5, -1.0], np.float32)


def plainly(source: np.ndarray, start: Any, steps: int, feedback: Any = None) -> np.ndarray:
    begun, outputs, fed = Plain.begin(runner("forecaster"), source), [], start
    for step in range(steps):
        begun = begun.step(fed)
        outputs.append(begun.scores)
        fed = begun.scores if feedback is None else feedback(begun.scores, step)
    return np.stack(outputs)


@settings(max_examples=20, deadline=None)
@given(steps=st.integers(1, 9), batch=st.integers(1, 4), count=st.integers(1, 4))
def test_a_forecast_equals_a_plain_loop(steps: int, batch: int, count: int) -> None:
    sources = SOURCES[:count]
    found = runner("forecaster").forecast(sources, start=START, steps=steps, batch_size=batch)
    assert (found.shape, found.dtype) == ((count, steps, 2), np.float32)
    for source, row in zip(sources, found, strict=True):
        np.testing.assert_allclose(row, plainly(source, START, steps), rtol=0, atol=1e-5)
    assert np.abs(found).max() > 0.1


def test_a_start_for_each_source_and_a_feedback() -> None:
    starts = RNG.standard_normal((4, 2)).astype(np.float32)
    seen: list[tuple[tuple[int, ...], int]] = []

    def feedback(output: np.ndarray, step: int) -> np.ndarray:
        seen.append((output.shape, step))
        return -output + step

    found = runner("forecaster").forecast(SOURCES, start=starts, steps=4, feedback=feedback)
    for source, start, row in zip(SOURCES, starts, found, strict=True):
        expected = plainly(source, start, 4, lambda output, step: -output + step)
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-5)
    assert seen == [((4, 2), 0), ((4, 2), 1), ((4, 2), 2)]


def test_a_forecaster_without_encoder_goes_on_from_what_it_saw() -> None:
    one = runner("walker")
    found = one.forecast(SOURCES, steps=5)
    folder = one._artifact.path
    for source, row in zip(SOURCES, found, strict=True):
        state, y, outputs = np.zeros((1, 5), np.float32), np.zeros(0), []
        for t in range(len(source) + 4):
            x = source[t] if t < len(source) else y
            given = run(folder / "stream.onnx", {"previous1": x[None], "gru_h_in": state})
            y, state = given["y1"][0], given["gru_h_out"]
            outputs.append(y)
        np.testing.assert_allclose(row, outputs[-5:], rtol=0, atol=1e-5)


KEYWORDS: dict[str, Any] = {"start": START, "steps": 3}


@pytest.mark.parametrize(
    ("name", "more", "kind", "text"),
    [
        (
            "gru",
            {},
            NotGenerative,
            "decoder.onnx, previous | received: int64 ids | expected: numbers, (B, T, F) | "
            "remedy: use runner.generate",
        ),
        (
            "forecaster",
            {"steps": 0},
            UsageError,
            "steps | received: 0 | expected: a whole number from 1 up | "
            "remedy: pass a positive int",
        ),
        (
            "forecaster",
            {"start": None},
            UsageError,
            "start | received: None | expected: numbers (2,), which the decoder is fed first | "
            "remedy: pass start=",
        ),
        (
            "walker",
            {},
            UsageError,
            "start | received: numbers | expected: None: the source's last step is fed first | "
            "remedy: append them to the source",
        ),
        (
            "forecaster",
            {"start": [1.0, 2.0, 3.0]},
            InputError,
            "start | received: float32 (3,) | expected: float32 (2,) or (4, 2) | "
            "remedy: pass what the decoder is fed first, for all sources or for each",
        ),
        (
            "forecaster",
            {"feedback": lambda output, step: output[:, :1]},
            InputError,
            "feedback after step 0 | received: float32 (4, 1) | expected: numbers (4, 2) | "
            "remedy: return the next input for every row",
        ),
        (
            "forecaster",
            {"feedback": 3},
            UsageError,
            "feedback | received: 3 | expected: a function of an output (B, F) and its number | "
            "remedy: pass a function, or None",
        ),
    ],
)
def test_bad_forecasts(name: str, more: dict[str, Any], kind: type[Exception], text: str) -> None:
    def act() -> Any:
        return runner(name).forecast(SOURCES, **{**KEYWORDS, **more})

    assert message(act, kind) == text
