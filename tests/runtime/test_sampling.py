from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnport.runtime.ending import Ending
from rnnport.runtime.sampling import Chances, Draws, sampling
from rnnport.runtime.scores import Scale
from tests.runtime.seq2seq import lists, runner

KEYWORDS: dict[str, Any] = {"start": 1, "stop": 0, "max_steps": 8}
WORDS = [[1, 2, 3], [4], [5, 1, 2, 3, 3], [2, 2], [4, 4, 1]]
ROWS = st.lists(
    st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, 3.5]), min_size=5, max_size=5),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("name", ["gru", "last_only", "attention", "language"])
def test_a_seed_draws_the_same_again_whatever_the_batch(name: str) -> None:
    one = runner(name)
    found = lists(one.generate(WORDS, **KEYWORDS, seed=5, temperature=2.0))
    assert lists(one.generate(WORDS, **KEYWORDS, seed=5, temperature=2.0, batch_size=2)) == found
    assert lists(one.generate(WORDS[:2], **KEYWORDS, seed=5, temperature=2.0)) == found[:2]
    assert lists(one.generate(WORDS, **KEYWORDS, seed=6, temperature=2.0)) != found
    table = np.array(list(one.generate_stream(WORDS, **KEYWORDS, seed=5, temperature=2.0)))
    assert [[n for n in column if n >= 0] for column in table.T.tolist()] == found


def test_without_a_seed_draws_differ() -> None:
    sources = [[1, 2, 3]] * 20
    found = [lists(runner("gru").generate(sources, **KEYWORDS, temperature=3.0)) for _ in range(2)]
    assert found[0] != found[1]


@pytest.mark.parametrize("more", [{"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-6}])
def test_what_leaves_one_token_is_greedy(more: dict[str, float]) -> None:
    for name in ("gru", "last_only", "attention"):
        one = runner(name)
        expected, marks = one.generate(WORDS, **KEYWORDS, return_scores=True)
        found, scores = one.generate(WORDS, **KEYWORDS, **more, seed=1, return_scores=True)
        assert lists(found) == lists(expected)
        np.testing.assert_array_equal(scores, marks)


@pytest.mark.parametrize("name", ["gru", "last_only"])
@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(1.0, None, None), (3.0, 4, None), (2.5, None, 0.9)]
)
def test_draws_are_as_probable_as_they_should_be(
    name: str, temperature: float, top_k: int | None, top_p: float | None
) -> None:
    count = 3000
    one = runner(name)
    found = one.generate(
        [[1, 2]] * count,
        start=1,
        stop=None,
        max_steps=1,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=0,
        batch_size=count,
    )
    seen = np.bincount(np.concatenate(found), minlength=7)
    weights = expected_weights(logs_of(name), temperature, top_k, top_p)
    expected = count * weights / weights.sum()
    assert seen[expected == 0].sum() == 0
    kept = expected > 0
    assert kept.sum() > 1
    statistic = ((seen[kept] - expected[kept]) ** 2 / expected[kept]).sum()
    assert statistic < 4 * kept.sum() + 10


def logs_of(name: str) -> np.ndarray:
    from tests.runtime.seq2seq import Plain

    return Plain.begin(runner(name), [1, 2], 1).logs


def expected_weights(
    logs: np.ndarray, temperature: float, top_k: int | None, top_p: float | None
) -> np.ndarray:
    """Written token by token."""
    order = sorted(range(len(logs)), key=lambda i: (-logs[i], i))
    chances = {i: math.exp((logs[i] - max(logs)) / temperature) for i in order[: top_k or None]}
    whole, kept, held = sum(chances.values()), {}, 0.0
    for i, chance in chances.items():
        if top_p is None or held < top_p * whole:
            kept[i] = chance
        held += chance
    return np.array([kept.get(i, 0.0) for i in range(len(logs))])


@settings(max_examples=60, deadline=None)
@given(
    rows=ROWS,
    temperature=st.sampled_from([0.5, 1.0, 4.0]),
    top_k=st.none() | st.integers(1, 6),
    top_p=st.none() | st.sampled_from([0.05, 0.5, 0.83, 1.0]),
)
def test_chances_equal_plain_ones(
    rows: list[list[float]], temperature: float, top_k: int | None, top_p: float | None
) -> None:
    """Ties too: of equals the lowest ids are kept."""
    found = Chances(temperature, top_k, top_p).weights(np.array(rows))
    for row, weights in zip(rows, found, strict=True):
        expected = expected_weights(np.array(row), temperature, top_k, top_p)
        np.testing.assert_allclose(weights, expected, rtol=1e-12)


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-53])
def test_no_draw_takes_what_has_no_chance(uniform: float) -> None:
    scores = np.log(np.array([[1e-30, 0.3, 1e-30, 0.7, 1e-30]], np.float32))
    pick = sampling(Chances(top_k=2), Scale(logits=True), Ending((), 5, 9), [lambda step: uniform])
    assert pick(scores, np.array([0]), 0)[0] == (3 if uniform > 0.3 else 1)


def test_draws_differ_by_seed_source_and_step() -> None:
    draws = [Draws(seed, source) for seed in (0, 1) for source in (0, 1)]
    numbers = [[one.at(step) for step in range(130)] for one in draws]
    assert len({number for row in numbers for number in row}) == 4 * 130
    assert [Draws(1, 0).at(0)] == numbers[2][:1]
