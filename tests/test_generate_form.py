"""generate.onnx: the whole search in one graph, token for token the plain loop's."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import rnnport
from rnnport import Generate, generate_form
from rnnport.artifact.load import Artifact
from rnnport.errors import InputError, ParityError, UsageError
from rnnport.graph.generate_beam import beam_graph
from rnnport.runtime import generator
from rnnport.runtime.runner import Runner
from tests.runtime.seq2seq import beam, cut, greedy, lists
from tests.search_graphs import search_session, without_ends
from tests.test_handoff_forms import (
    SOURCE,
    TARGET,
    attending,
    bidirectional,
    classifier,
    stacked,
    tutorial,
)
from tests.tiny_keras import lively

START, STOP = 1, 2


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (
            Generate(start=TARGET, stop=2, max_steps=5),
            f"start {TARGET} | expected: 0 to {TARGET - 1}",
        ),
        (
            Generate(start=1, stop=2, max_steps=5, beam_width=TARGET + 1),
            f"beam_width {TARGET + 1} | expected: at most {TARGET}, the size of the vocabulary",
        ),
        (
            Generate(start=1, stop=[2, TARGET], max_steps=5),
            f"stop {TARGET} | expected: 0 to {TARGET - 1}",
        ),
    ],
)
def test_wishes_outside_of_the_vocabulary(wish: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        rnnport.export(tutorial()(), tmp_path / "out", generate=wish)
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_no_decoder_to_loop_over(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no recurrent layer starts from a state"):
        rnnport.export(
            classifier(), tmp_path / "out", generate=Generate(start=1, stop=2, max_steps=3)
        )


@dataclass(frozen=True)
class Forced:
    """The whole training model in Keras, run on a source and all tokens so far, for each token."""

    run: Any
    source: np.ndarray
    fed: tuple[int, ...]

    @property
    def logs(self) -> np.ndarray:
        """Log probabilities of what comes next, (V,) float64."""
        given = self.run(self.source[None], np.array([self.fed], "int32"))
        scores = given.numpy()[0].astype(np.float64)
        if scores.min() >= 0 and abs(scores.sum() - 1) < 1e-3:
            return np.log(scores)
        return scores - scores.max() - np.log(np.exp(scores - scores.max()).sum())

    def step(self, token: int) -> Forced:
        return replace(self, fed=(*self.fed, token))


@dataclass(frozen=True)
class Exported:
    artifact: Artifact
    runner: Runner
    run: Any

    def plain(self, source: np.ndarray, wish: Generate) -> tuple[list[int], float]:
        """What Keras generates from one source, without the stop; the score of a beam."""
        begun, stops = Forced(self.run, source, (wish.start,)), set(wish.stops)
        if wish.beam_width == 1:
            return cut(greedy(begun, stops, wish.max_steps), stops), 0.0
        found = beam(begun, stops, wish.max_steps, wish.beam_width, wish.length_penalty)
        return cut(found[0][1], stops), found[0][0]


MODELS = {
    "LSTM": tutorial(),
    "masked": tutorial("GRU", mask=True),
    "last output only": tutorial("GRU", sequences=False),
    "stacked": stacked,
    "bridge": bidirectional(bridge=True),
    "attention": attending("Attention", mask=True),
    "heads": attending("MultiHeadAttention", mask=True),
}
MASKED = {"masked", "bridge", "attention", "heads"}


BEAMS = Generate(start=START, stop=[STOP, 7], max_steps=9, beam_width=4, length_penalty=0.7)
GREEDY = Generate(start=START, stop=[STOP, 7], max_steps=9)


@functools.cache
def exported(label: str, seed: int, *, greedily: bool = False) -> Exported:
    """A model that differs from token to token."""
    model = lively(MODELS[label](), seed=seed)
    for weight in model.trainable_weights:
        weight.assign(2.0 * weight)
    folder = tempfile.mkdtemp(prefix="rnnport-generate-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    artifact = rnnport.export(model, Path(folder) / "out", generate=GREEDY if greedily else BEAMS)
    shape = tf.TensorSpec((None, None), tf.int32)

    @tf.function(input_signature=[shape, shape])  # type: ignore[untyped-decorator]
    def run(source: Any, target: Any) -> Any:
        scores = model([source, target])
        return scores[:, -1] if len(scores.shape) == 3 else scores

    return Exported(artifact, rnnport.load(artifact, provider="cpu", threads=1), run)


def sources(label: str, seed: int, rows: int, time: int) -> np.ndarray:
    """Ids; padded on the right and in the middle where the model masks."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(1, SOURCE, (rows, time)).astype("int32")
    if label in MASKED:
        drawn[rng.random(drawn.shape) < 0.2] = 0
        drawn[0, time // 2 :] = 0
        # runner.generate refuses a source of nothing but padding.
        drawn[np.arange(rows), rng.integers(0, time, rows)] = 3
    return drawn


def assert_all_equal(one: Exported, source: np.ndarray, wish: Generate, session: Any) -> None:
    """generate.onnx, runner.generate and Keras."""
    ids, *scores = session.run(None, {"source": source})
    found, marks = one.runner.generate(
        source,
        start=wish.start,
        stop=set(wish.stops),
        max_steps=wish.max_steps,
        beam_width=wish.beam_width,
        length_penalty=wish.length_penalty,
        return_scores=True,
    )
    expected = [one.plain(row, wish) for row in source]
    assert without_ends(ids) == lists(found) == [tokens for tokens, _ in expected]
    if wish.beam_width > 1:
        np.testing.assert_allclose(scores[0], marks, rtol=0, atol=1e-6)
        np.testing.assert_allclose(scores[0], [score for _, score in expected], rtol=0, atol=1e-4)


@pytest.mark.parametrize("label", ["LSTM", "last output only", "stacked", "attention", "heads"])
def test_tokens_are_those_of_the_plain_loop(label: str) -> None:
    one = exported(label, seed=6, greedily=True)
    assert one.artifact.manifest.generate == GREEDY
    counts = one.artifact.manifest.forms["generate"].op_counts
    assert counts["Loop"] == 1
    assert not {"Scan", "TopK"} & set(counts)
    session = ort.InferenceSession(str(one.artifact.forms["generate"]))
    assert [o.name for o in session.get_outputs()] == ["ids"]
    source = sources(label, 3, 5, 8)
    assert len({tuple(one.plain(row, GREEDY)[0]) for row in source}) > 1
    assert_all_equal(one, source, GREEDY, session)


@pytest.mark.parametrize("label", MODELS)
def test_beams_are_those_of_the_plain_loop(label: str) -> None:
    one = exported(label, seed=6)
    manifest = rnnport.open(one.artifact.path).manifest
    assert manifest.generate == BEAMS
    counts = manifest.forms["generate"].op_counts
    halves = [manifest.forms[name].op_counts for name in ("encoder", "decoder")]
    assert (counts["Loop"], counts["Scan"], counts["TopK"]) == (1, 1, 2)
    for kind in ("LSTM", "GRU"):
        assert counts.get(kind, 0) == sum(half.get(kind, 0) for half in halves)
    proof = [check for check in manifest.parity if check.name.startswith("generate")]
    assert len(proof) == (10 if label in MASKED else 2)
    assert all(check.passed for check in proof)
    session = ort.InferenceSession(str(one.artifact.forms["generate"]))
    assert [o.name for o in session.get_outputs()] == ["ids", "scores"]
    assert_all_equal(one, sources(label, 1, 5, 8), BEAMS, session)


@pytest.mark.parametrize("width", [2, 3, 4, 5])
@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.5])
def test_widths_and_penalties(width: int, alpha: float) -> None:
    one = exported("attention", seed=6)
    wish = Generate(
        start=START, stop=[STOP, 3, 11], max_steps=7, beam_width=width, length_penalty=alpha
    )
    source = sources("attention", 2, 4, 6)
    assert_all_equal(one, source, wish, search_session(one.artifact, wish, logits=True))


@settings(max_examples=20, deadline=None)
@given(
    label=st.sampled_from(["LSTM", "attention"]),
    weights=st.integers(0, 2),
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 3),
    time=st.integers(1, 9),
    start=st.integers(0, TARGET - 1),
    stops=st.sets(st.integers(0, TARGET - 1), min_size=1, max_size=3),
    steps=st.integers(1, 6),
    width=st.integers(1, 5),
    alpha=st.sampled_from([0.0, 0.6, 1.0]),
)
def test_any_search_equals_keras(
    label: str,
    weights: int,
    seed: int,
    rows: int,
    time: int,
    start: int,
    stops: set[int],
    steps: int,
    width: int,
    alpha: float,
) -> None:
    one = exported(label, weights)
    wish = Generate(
        start=start, stop=sorted(stops), max_steps=steps, beam_width=width, length_penalty=alpha
    )
    session = search_session(one.artifact, wish, logits=label == "attention")
    assert_all_equal(one, sources(label, seed, rows, time), wish, session)


@pytest.mark.parametrize("label", ["LSTM", "attention"])
def test_a_batch_in_parts_gives_what_each_source_gives_alone(label: str) -> None:
    """Parts may end after different steps, and come back in the order given."""
    one = exported(label, seed=6, greedily=True)
    runner, parts = rnnport.load(one.artifact, provider="cpu", threads=3), []
    loop = runner._generator()._loop
    assert loop is not None
    inner = loop.sessions.singles

    def noted(rows: Any, *, one_each: bool) -> Any:
        assert one_each
        parts.append(list(rows))
        return inner(rows, one_each=one_each)

    loop.sessions.singles = noted  # type: ignore[method-assign]
    for rows, expected in ((7, []), (8, [[4, 4]]), (14, [[4, 5, 5]]), (40, [[13, 13, 14]])):
        source = sources(label, rows, rows, 8)
        parts.clear()
        found = runner.generate(source, start=START, stop=[STOP, 7], max_steps=9)
        assert parts == expected
        assert lists(found) == [one.plain(row, GREEDY)[0] for row in source]


def test_ids_out_of_range_in_a_part_are_refused() -> None:
    one = exported("LSTM", seed=6, greedily=True)
    runner = rnnport.load(one.artifact, provider="cpu", threads=2)
    source = sources("LSTM", 1, 8, 5)
    source[7, 0] = 10**6
    with pytest.raises(InputError):
        runner.generate(source, start=START, stop=[STOP, 7], max_steps=9)


def test_a_wrong_search_is_no_artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof does not rest on the graph's own code."""

    def another(*parts: Any, logits: bool) -> Any:
        return beam_graph(*parts, logits=not logits)

    monkeypatch.setattr(generate_form, "beam_graph", another)
    wish = Generate(start=1, stop=2, max_steps=9, beam_width=3)
    with pytest.raises(ParityError, match="generate, none mask"):
        rnnport.export(lively(stacked(), seed=6), tmp_path / "out", generate=wish)
    assert not (tmp_path / "out").exists()


ASKED: dict[str, Any] = {"start": START, "stop": {7, STOP}, "max_steps": 9}


@pytest.mark.parametrize("label", ["LSTM", "masked", "attention"])
def test_what_the_graph_does_is_left_to_it(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = exported(label, seed=6, greedily=True)
    source = sources(label, 3, 5, 8)
    expected = [one.plain(row, GREEDY)[0] for row in source]
    looped = lists(one.runner.generate(source, **ASKED, return_scores=True)[0])
    monkeypatch.setattr(generator, "DecodeRows", _never)
    assert lists(one.runner.generate(source, **ASKED)) == expected == looped
    assert lists(one.runner.generate(source, **ASKED, batch_size=2)) == expected
    assert lists(one.runner.generate(source, **ASKED | {"stop": [STOP, 7, STOP]})) == expected


def test_sources_that_share_no_batch_share_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    one = exported("LSTM", seed=6, greedily=True)
    rows = [row[:n] for row, n in zip(sources("LSTM", 4, 4, 8), (8, 3, 8, 5), strict=True)]
    expected = [one.plain(row, GREEDY)[0] for row in rows]
    assert lists(one.runner.generate(rows, **ASKED)) == expected
    monkeypatch.setattr(generator, "DecodeRows", _never)
    with pytest.raises(AssertionError, match="a step by itself"):
        one.runner.generate(rows, **ASKED)
    assert lists(one.runner.generate(rows, **ASKED, batch_size=1)) == expected


@pytest.mark.parametrize(
    "other",
    [
        {"start": START + 1},
        {"stop": STOP},
        {"stop": None},
        {"max_steps": 8},
        {"min_steps": 1},
        {"beam_width": 2},
        {"temperature": 1.0},
        {"seed": 1},
        {"return_scores": True},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_the_graph_does_not_do(other: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = exported("LSTM", seed=6, greedily=True)
    monkeypatch.setattr(generator, "DecodeRows", _never)
    with pytest.raises(AssertionError, match="a step by itself"):
        one.runner.generate(sources("LSTM", 3, 2, 8), **ASKED | other)


def test_graphs_of_beams_are_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    one = exported("LSTM", seed=6)
    monkeypatch.setattr(generator, "DecodeRows", _never)
    with pytest.raises(AssertionError, match="a step by itself"):
        one.runner.generate(sources("LSTM", 3, 2, 8), **ASKED)


def _never(*_: Any) -> Any:
    raise AssertionError("a step by itself")
