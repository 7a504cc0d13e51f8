"""Candidates and scores by themselves; whole searches are compared in test_generate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnport.errors import InputError
from rnnport.runtime.candidates import best_candidates
from rnnport.runtime.scores import Scale, length_divisor


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    sources=st.integers(1, 3),
    beams=st.integers(1, 4),
    width=st.sampled_from([2, 9, 400, 1500]),
    count=st.integers(1, 12),
    levels=st.sampled_from([2, 30, 10**6]),
    logits=st.booleans(),
)
def test_candidates_equal_a_full_sort(
    seed: int, sources: int, beams: int, width: int, count: int, levels: int, logits: bool
) -> None:
    """Few levels make ties; some beams are dead and some chances zero."""
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, levels, (sources, beams, width)) / levels).astype(np.float32)
    if logits:
        scores = (scores - 0.5) * 20
        scores[rng.random(scores.shape) < 0.1] = -np.inf
    base = -rng.integers(0, 4, (sources, beams)).astype(np.float64)
    base[rng.random(base.shape) < 0.2] = -np.inf
    found = best_candidates(scores, base, Scale(logits), count)
    with np.errstate(divide="ignore"):
        logs = scores.astype(np.float64) if logits else np.log(scores.astype(np.float64))
    totals = base[..., None] + logs
    for a in range(sources):
        ranked = sorted(
            (-totals[a, k, v], v, k)
            for k in range(beams)
            for v in range(width)
            if totals[a, k, v] > -np.inf
        )[:count]
        kept = found.totals[a] > -np.inf
        assert kept.sum() == len(ranked)
        rows = zip(-found.totals[a, kept], found.ids[a, kept], found.beams[a, kept], strict=True)
        assert list(rows) == ranked


def test_scales_agree() -> None:
    logits = (np.random.default_rng(0).standard_normal((4, 9)) * 30).astype(np.float32)
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    chances = np.exp(logs).astype(np.float32)
    assert Scale.of(logits, None) == Scale(logits=True)
    assert Scale.of(chances, None) == Scale(logits=False)
    assert Scale.of(np.abs(logits), None) == Scale(logits=True)
    assert Scale.of(chances, True) == Scale(logits=True)
    for scores, scale in ((logits, Scale(True)), (chances, Scale(False))):
        found = scale.log(scores) - scale.normaliser(scores)[:, None]
        likely = logs > -80
        np.testing.assert_allclose(found[likely], logs[likely], rtol=0, atol=1e-5)
        assert (found <= 0).all()


def test_scores_that_are_no_numbers() -> None:
    scores = np.array([[0.5, np.nan]], np.float32)
    with pytest.raises(InputError) as caught:
        Scale.of(scores, None)
    assert str(caught.value) == (
        "scores of the first step | received: NaN | expected: numbers | "
        "remedy: look for NaN in the source, or in the model's weights"
    )


def test_length_penalty() -> None:
    assert length_divisor(1, 0.7) == 1
    assert length_divisor(13, 1.0) == 3
    assert math.isclose(length_divisor(7, 0.5), math.sqrt(2))
    assert length_divisor(99, 0.0) == 1
