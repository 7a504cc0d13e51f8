"""Searches as graphs of tiny halves without Keras: ties, certainties, any sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnport.spec import Generate
from tests.runtime.seq2seq import Plain, beam, cut, greedy, lists, runner
from tests.search_graphs import search_graph, search_session, without_ends
from tests.tiny_seq2seq import Sizes

NAMES = ["attention", "gru", "last_only", "lstm", "unmasked"]
# With a spread of 0 all scores tie.
SPREADS = [0.0, 1.5, 1.5, 1.5]
# Most chances are exactly 0 or 1. Logits as large would tie but for the rounding of their sums.
CERTAIN = 300.0


def padded(name: str, words: list[list[int]]) -> np.ndarray:
    """(B, S); where nothing is masked all sources are of one length."""
    length = max(map(len, words))
    rows = [(row * length)[:length] for row in words]
    if name == "attention":
        rows = [row + [0] * (length - len(row)) for row in words]
    return np.array(rows, np.int64)


def plain(name: str, sizes: Sizes, row: np.ndarray, wish: Generate) -> list[int]:
    stops = set(wish.stops)
    with np.errstate(divide="ignore"):
        begun = Plain.begin(runner(name, sizes), row, wish.start)
        if wish.beam_width == 1:
            return cut(greedy(begun, stops, wish.max_steps), stops)
        found = beam(begun, stops, wish.max_steps, wish.beam_width, wish.length_penalty)
    return cut(found[0][1], stops)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(
    words=st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=5), min_size=1, max_size=4),
    data=st.data(),
)
def test_graph_runner_and_plain_loop_agree(name: str, words: list[list[int]], data: Any) -> None:
    logits = name != "last_only"
    spreads = SPREADS if logits else [*SPREADS, CERTAIN]
    sizes = Sizes(
        seed=data.draw(st.integers(0, 5)),
        vocabulary=data.draw(st.sampled_from([2, 7])),
        spread=data.draw(st.sampled_from(spreads)),
    )
    token = st.integers(0, sizes.vocabulary - 1)
    wish = Generate(
        start=data.draw(token),
        stop=sorted(data.draw(st.sets(token, min_size=1, max_size=3))),
        max_steps=data.draw(st.integers(1, 6)),
        beam_width=data.draw(st.integers(1, min(5, sizes.vocabulary))),
        length_penalty=data.draw(st.sampled_from([0.0, 0.6, 1.0, -0.5])),
    )
    source = padded(name, words)
    ids, *_ = search_session(runner(name, sizes)._artifact, wish, logits=logits).run(
        None, {"source": source}
    )
    found = runner(name, sizes).generate(
        source,
        start=wish.start,
        stop=set(wish.stops),
        max_steps=wish.max_steps,
        beam_width=wish.beam_width,
        length_penalty=wish.length_penalty,
    )
    assert without_ends(ids) == lists(found)
    assert without_ends(ids) == [plain(name, sizes, row, wish) for row in source]


def test_a_body_that_reads_the_weights_outside() -> None:
    """One Loop, its decoder fused; weights stand once, and the trace back is a Scan."""
    wish = Generate(start=1, stop=2, max_steps=5, beam_width=3)
    artifact = runner("attention", Sizes())._artifact
    graph = search_graph(artifact, wish, logits=True).graph
    kinds = [node.op_type for node in graph.node]
    assert [kinds.count(kind) for kind in ("Loop", "Scan", "GRU")] == [1, 1, 1]
    (loop,) = (node for node in graph.node if node.op_type == "Loop")
    body = loop.attribute[0].g
    inner = [node.op_type for node in body.node]
    assert [inner.count(kind) for kind in ("GRU", "TopK", "Loop")] == [1, 2, 0]
    assert not body.initializer
    # The attention's keys, and its mask, are the same in every step, and so are made outside.
    outside = {node.output[0]: node.op_type for node in graph.node}
    assert outside["step/keys"] == "Transpose"
    assert outside["step/seen"] == "Unsqueeze"
    assert {"step/keys", "step/seen"} <= {name for node in body.node for name in node.input}
    assert len({one.name for one in graph.initializer}) == len(graph.initializer)


def test_sources_that_end_early_wait_for_the_others() -> None:
    """What a source gives does not depend on the others in the batch."""
    wish = Generate(start=1, stop=[2, 4], max_steps=12, beam_width=3, length_penalty=0.6)
    session = search_session(runner("attention", Sizes(seed=1))._artifact, wish, logits=True)
    source = padded("attention", [[1, 2, 3], [4], [5, 1, 2, 3, 3], [2, 2], [4, 4, 1], [3], [5]])
    together, scores = session.run(None, {"source": source})
    assert [len(row) for row in without_ends(together)] == [4, 1, 2, 12, 3, 12, 12]
    assert scores.dtype == np.float64
    for row, tokens, score in zip(source, without_ends(together), scores, strict=True):
        ids, (own,) = session.run(None, {"source": row[None]})
        assert without_ends(ids) == [tokens]
        assert abs(own - score) < 1e-6
