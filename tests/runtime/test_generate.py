from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnport.runtime import generator
from rnnport.runtime.buffers import DeviceMemory
from rnnport.runtime.decode_rows import DecodeRows
from rnnport.runtime.runner import load
from tests.runtime.seq2seq import (
    WITH_ENCODER,
    Plain,
    beam,
    cut,
    folder,
    greedy,
    lists,
    runner,
    source_of,
)
from tests.tiny_seq2seq import Sizes

# Near ties are decided by rounding, which batches change; random weights hardly ever come so near.
SOURCES = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=5), min_size=1, max_size=6)
SIZES = st.builds(
    Sizes, seed=st.integers(0, 7), vocabulary=st.sampled_from([2, 7]), spread=st.just(1.5)
)
FEW = settings(max_examples=40, deadline=None)
WORDS = [[1, 2, 3], [4], [5, 1, 2, 3, 3], [2, 2], [4, 4, 1]]


@pytest.mark.parametrize("name", [*WITH_ENCODER, "language"])
@FEW
@given(sizes=SIZES, words=SOURCES, data=st.data())
def test_greedy_equals_a_plain_loop(name: str, sizes: Sizes, words: Any, data: Any) -> None:
    start = data.draw(st.integers(0, sizes.vocabulary - 1))
    stops = data.draw(st.sets(st.integers(0, sizes.vocabulary - 1), max_size=2))
    steps, least = data.draw(st.integers(1, 7)), data.draw(st.integers(0, 2))
    least = min(least, steps, 0 if len(stops) == sizes.vocabulary else steps)
    sources = prompts(name, words, sizes)
    found = runner(name, sizes).generate(
        sources, start=start, stop=stops, max_steps=steps, min_steps=least, batch_size=4
    )
    plain = [
        greedy(Plain.begin(runner(name, sizes), source, start), stops, steps, least)
        for source in sources
    ]
    assert lists(found) == [cut(one, stops) for one in plain]


@pytest.mark.parametrize("name", [*WITH_ENCODER, "language"])
@settings(max_examples=15, deadline=None)
@given(sizes=SIZES, words=SOURCES, data=st.data())
def test_beams_equal_a_plain_loop(name: str, sizes: Sizes, words: Any, data: Any) -> None:
    vocabulary = sizes.vocabulary
    start = data.draw(st.integers(0, vocabulary - 1))
    stops = data.draw(st.sets(st.integers(0, vocabulary - 1), max_size=min(2, vocabulary - 1)))
    steps, least = data.draw(st.integers(1, 5)), data.draw(st.integers(0, 1))
    width = data.draw(st.integers(2, min(4, vocabulary)))
    alpha = data.draw(st.sampled_from([0.0, 0.6, 1.0, -0.5]))
    best = data.draw(st.integers(1, width))
    sources = prompts(name, words[:4], sizes)
    found, scores = runner(name, sizes).generate(
        sources,
        start=start,
        stop=stops,
        max_steps=steps,
        min_steps=least,
        beam_width=width,
        length_penalty=alpha,
        n_best=best,
        return_scores=True,
        batch_size=3,
    )
    for source, ids, marks in zip(sources, found, scores, strict=True):
        begun = Plain.begin(runner(name, sizes), source, start)
        plain = beam(begun, stops, steps, width, alpha, least)[:best]
        assert lists(ids) == [cut(tokens, stops) for _, tokens in plain]
        np.testing.assert_allclose(marks, [score for score, _ in plain], rtol=0, atol=1e-5)


def prompts(name: str, words: Any, sizes: Sizes) -> list[Any]:
    if name == "language":
        return [[word % sizes.vocabulary for word in source] for source in words]
    return [source_of(name, source) for source in words]


@pytest.mark.parametrize("name", WITH_ENCODER)
def test_a_beam_of_one_is_greedy(name: str) -> None:
    keywords = {"start": 1, "stop": 0, "max_steps": 9}
    sources = [source_of(name, word) for word in WORDS]
    one = runner(name)
    ids, scores = one.generate(sources, **keywords, length_penalty=0.6, return_scores=True)
    plain = [greedy(Plain.begin(one, source, 1), {0}, 9) for source in sources]
    beams = [beam(Plain.begin(one, source, 1), {0}, 9, 1, 0.6)[0] for source in sources]
    assert lists(ids) == [cut(tokens, {0}) for tokens in plain]
    assert [list(tokens) for _, tokens in beams] == plain
    np.testing.assert_allclose(scores, [score for score, _ in beams], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["gru", "attention"])
def test_every_way_to_give_sources(name: str) -> None:
    one, keywords = runner(name), {"start": 1, "stop": 0, "max_steps": 6}
    array = np.array([[1, 2, 3], [4, 5, 1]])
    expected = lists(one.generate(array, **keywords))
    for source in (
        array.tolist(),
        list(array),
        tuple(array),
        [array],
        {"source": array},
        {"source": list(array)},
        array.astype(np.int32),
    ):
        assert lists(one.generate(source, **keywords)) == expected


def test_padding_that_the_model_masks_changes_nothing() -> None:
    one, keywords = runner("attention"), {"start": 1, "stop": 0, "max_steps": 6}
    together = lists(one.generate(WORDS, **keywords))
    assert together == [lists(one.generate([word], **keywords))[0] for word in WORDS]
    padded = np.zeros((len(WORDS), 8), np.int64)
    for row, word in zip(padded, WORDS, strict=True):
        row[: len(word)] = word
    assert lists(one.generate(padded, **keywords)) == together


@pytest.mark.parametrize("name", ["unmasked", "dropping"])
def test_sources_are_padded_only_where_export_saw_that_it_changes_nothing(name: str) -> None:
    one, keywords = runner(name), {"start": 1, "stop": 0, "max_steps": 6}
    together = lists(one.generate(WORDS, **keywords))
    assert together == [lists(one.generate([word], **keywords))[0] for word in WORDS]


def test_padded_sources_share_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[tuple[int, ...]] = []
    original = generator.encode

    def seen(plan: Any, sessions: Any, sources: Any, arrays: Any) -> Any:
        batches.append(arrays["source"].shape)
        return original(plan, sessions, sources, arrays)

    monkeypatch.setattr(generator, "encode", seen)
    runner("attention").generate(WORDS, start=1, stop=0, max_steps=2)
    assert batches == [(5, 5)]
    runner("dropping").generate(WORDS, start=1, stop=0, max_steps=2)
    assert sorted(batches[1:]) == [(1, 1), (1, 2), (1, 5), (2, 3)]


def test_rows_that_have_ended_are_no_longer_stepped(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    original = DecodeRows.step

    def counted(self: DecodeRows, fed: np.ndarray) -> np.ndarray:
        steps.append(len(self))
        return original(self, fed)

    monkeypatch.setattr(DecodeRows, "step", counted)
    words = [[1, 2, 3], [4], [5, 1, 2], [2, 2], [4, 4, 1], [4], [4], [4]]
    found = lists(runner("attention").generate(words, start=1, stop=0, max_steps=30))
    lengths = [len(one) for one in found]
    assert min(lengths) < 3 < max(lengths)
    # A row is in the batch until fewer than three quarters are left.
    assert len(steps) == max(min(n + 1, 30) for n in lengths)
    for step, rows in enumerate(steps):
        assert rows * 0.75 <= max(sum(n >= step for n in lengths), 1)
    steps.clear()
    runner("attention").generate(words, start=1, stop=0, max_steps=30, beam_width=3)
    assert steps[0] == len(words)
    assert steps == [steps[0], *sorted(steps[1:], reverse=True)]


def test_decoding_on_a_device_by_way_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    keywords: dict[str, Any] = {"start": 1, "stop": 0, "max_steps": 6}
    one = load(folder("attention"), provider="cpu", threads=1)
    searches: list[dict[str, Any]] = [{}, {"beam_width": 3}]
    expected = [lists(one.generate(WORDS, **keywords, **more)) for more in searches]
    monkeypatch.setattr("rnnport.runtime.decode_rows.memory_for", lambda _: DeviceMemory("cpu"))
    assert [lists(one.generate(WORDS, **keywords, **more)) for more in searches] == expected


def test_threads_share_a_runner() -> None:
    one, keywords = runner("attention"), {"start": 1, "stop": 0, "max_steps": 8}
    expected = lists(one.generate(WORDS, **keywords, beam_width=2))
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(one.generate, WORDS, **keywords, beam_width=2) for _ in range(12)]
        assert all(lists(job.result()) == expected for job in jobs)


def test_a_prompt_may_be_empty_where_a_start_is_given() -> None:
    one = runner("language")
    found = one.generate([[], [1, 2]], start=3, stop=0, max_steps=5)
    plain = [greedy(Plain.begin(one, prompt, 3), {0}, 5) for prompt in ([], [1, 2])]
    assert lists(found) == [cut(tokens, {0}) for tokens in plain]
    alone = one.generate(np.array([[3, 1, 2]]), stop=0, max_steps=5)
    assert lists(alone) == lists(found[1:])
    array = one.generate(np.array([[1, 2]]), start=3, stop=0, max_steps=5)
    assert lists(array) == lists(alone)


def test_a_long_prompt_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    one, prompt = runner("language"), [1, 2, 3, 4, 5, 6, 1, 3]
    expected = lists(one.generate([prompt], stop=None, max_steps=5))
    monkeypatch.setattr("rnnport.runtime.hand_off._PIECE", 3)
    assert lists(one.generate([prompt], stop=None, max_steps=5)) == expected
    assert len(expected[0]) == 5


def test_a_language_model_with_a_fixed_input() -> None:
    one = runner("speaking")
    voices = np.random.default_rng(0).standard_normal((2, 5)).astype(np.float32) * 3
    source = {"previous": [[1, 2], [3]], "speaker": voices}
    found = lists(one.generate(source, stop=None, max_steps=6, beam_width=2))
    for i, prompt in enumerate(source["previous"]):
        alone = {"previous": [prompt], "speaker": voices[i : i + 1]}
        assert lists(one.generate(alone, stop=None, max_steps=6, beam_width=2)) == [found[i]]
    silent = {"previous": [[1, 2], [3]], "speaker": -voices}
    assert lists(one.generate(silent, stop=None, max_steps=6, beam_width=2)) != found


def test_logits_may_be_told() -> None:
    one, keywords = runner("last_only"), {"start": 1, "stop": 0, "max_steps": 4}
    _, found = one.generate([[1, 2]], **keywords, return_scores=True)
    _, told = one.generate([[1, 2]], **keywords, return_scores=True, logits=False)
    _, wrong = one.generate([[1, 2]], **keywords, return_scores=True, logits=True)
    assert found == told
    assert abs(found[0] - wrong[0]) > 0.1


@pytest.mark.parametrize("name", ["gru", "attention", "language"])
def test_a_stream_of_tokens(name: str) -> None:
    one, keywords = runner(name), {"start": 1, "stop": 0, "max_steps": 7}
    expected = lists(one.generate(WORDS, **keywords))
    table = np.array(list(one.generate_stream(WORDS, **keywords)))
    assert table.dtype == np.int64
    assert table.shape == (max(map(len, expected)), len(WORDS))
    assert [[n for n in column if n >= 0] for column in table.T.tolist()] == expected
    for column, ids in zip(table.T.tolist(), expected, strict=True):
        assert column == ids + [-1] * (len(table) - len(ids))
    (first,) = expected[:1]
    alone = [int(ids[0]) for ids in one.generate_stream(WORDS[:1], **keywords)]
    assert alone == first


def test_a_stream_gives_a_step_before_it_takes_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    original = DecodeRows.step

    def counted(self: DecodeRows, fed: np.ndarray) -> np.ndarray:
        steps.append(1)
        return original(self, fed)

    monkeypatch.setattr(DecodeRows, "step", counted)
    for words in (WORDS, WORDS[:1]):
        steps.clear()
        stream = runner("gru").generate_stream(words, start=1, stop=None, max_steps=5)
        for taken, _ in enumerate(stream, 1):
            assert len(steps) == taken
        assert len(steps) == 5
