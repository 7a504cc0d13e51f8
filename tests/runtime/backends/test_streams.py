"""Steppers, pools and decoding on backends that cannot be bound to memory."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from rnnport.runtime.backends.base import RunFailed
from rnnport.runtime.copied import CopiedBinding
from rnnport.runtime.runner import Runner, load
from tests.backends import providers
from tests.runtime import seq2seq, streams
from tests.runtime.streams import NAMES, at, chunk, cut, fixed, flat, joined, same

FLOATING = providers("openvino", "reference", "web")
# Web opens a process for every session, so it gets the two that differ most.
CASES = [
    pytest.param(name, provider.values[0], marks=provider.marks, id=f"{name}-{provider.id}")
    for provider in FLOATING
    for name in (NAMES if provider.id != "web" else ["pair", "speaker"])
]
BOUND = 1e-5


@functools.cache
def runner(name: str, provider: str) -> Runner:
    return load(streams.folder(name), provider=provider, threads=1)


@pytest.fixture(scope="module", autouse=True)
def _let_go() -> Iterator[None]:
    """The Node processes of web runners end with this module."""
    yield
    runner.cache_clear()


@pytest.mark.parametrize(("name", "provider"), CASES)
def test_a_stepper_streams_as_on_the_cpu(name: str, provider: str) -> None:
    """Chunks, single steps, a reset of one row, a snapshot that moves between runtimes."""
    given = fixed(name, 2)
    both = runner(name, provider), streams.runner(name)
    here, there = (one.stepper(2, fixed=given) for one in both)
    x = chunk(name, 2, 9)
    for start, stop in ((0, 4), (4, 5), (5, 9)):
        piece = cut(x, start, stop)
        same(here.feed(**piece), there.feed(**piece), BOUND)
    here.reset(1)
    there.reset(1)
    for step in range(3):
        same(here.step(**at(x, step)), there.step(**at(x, step)), BOUND)
    other = runner(name, provider).stepper(2, fixed=fixed(name, 2, seed=9))
    other.restore(there.snapshot())
    for key, array in there.state.items():
        np.testing.assert_array_equal(other.state[key], array)
        np.testing.assert_allclose(here.state[key], array, rtol=0, atol=BOUND)
    same(other.step(**at(x, 8)), here.step(**at(x, 8)), BOUND)


@pytest.mark.parametrize(("name", "provider"), CASES)
def test_whole_is_chunks_is_steps_on_one_runtime(name: str, provider: str) -> None:
    x, given = chunk(name, 2, 6), fixed(name, 2)
    ways = []
    for cuts in ([0, 6], [0, 1, 4, 6]):
        stepper = runner(name, provider).stepper(2, fixed=given)
        ways.append(joined([stepper.feed(**cut(x, a, b)) for a, b in pairwise(cuts)], name))
    for whole, pieces in zip(*ways, strict=True):
        np.testing.assert_allclose(pieces, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "provider"), CASES)
def test_a_pool_steps_whoever_comes(name: str, provider: str) -> None:
    pools = [r.pool(8) for r in (runner(name, provider), streams.runner(name))]
    x = chunk(name, 4, 3)
    ids = []
    for pool in pools:
        given = [fixed(name, seed=n) for n in range(4)]
        ids.append([pool.open(fixed=g) for g in given])
    for step, rows in enumerate(([0, 1, 2, 3], [3, 1], [2, 3, 0])):
        inputs = {n: a[rows, step] for n, a in x.items()}
        found, expected = (
            pool.step([own[r] for r in rows], **inputs)
            for pool, own in zip(pools, ids, strict=True)
        )
        same(found, expected, BOUND)
    for row in range(4):
        mine, theirs = (pool.state(own[row]) for pool, own in zip(pools, ids, strict=True))
        for key, array in theirs.items():
            np.testing.assert_allclose(mine[key], array, rtol=0, atol=BOUND)


@pytest.mark.parametrize("provider", FLOATING)
@pytest.mark.parametrize("beam_width", [1, 3])
def test_decoding_gives_the_tokens_of_the_cpu(provider: str, beam_width: int) -> None:
    sources = [[1, 2, 3], [4, 5], [5, 1, 2, 4]]
    given = {"start": 0, "stop": 1, "max_steps": 8, "beam_width": beam_width}
    decoders = [load(seq2seq.folder("attention"), provider=p) for p in (provider, "cpu")]
    found, expected = (r.generate([np.array(s) for s in sources], **given) for r in decoders)
    assert [ids.tolist() for ids in found] == [ids.tolist() for ids in expected]
    assert any(len(ids) > 2 for ids in expected)


class _Doubles:
    """A session whose one output is its input, twice; as often as it is told in rows."""

    rows = 2

    def run(self, names: object, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [np.repeat(2 * feeds["x"], self.rows // 2, axis=0)]


def test_copies_go_where_they_are_wanted() -> None:
    session, x, y = _Doubles(), np.array([1.0, 2.0]), np.zeros(2)
    binding = CopiedBinding(session, {"x": x}, {"y": y})
    run = binding.runner()
    run()
    assert y.tolist() == [2, 4]
    x[:] = 5
    run()
    assert y.tolist() == [10, 10]
    assert binding.allocated() == {}
    free = CopiedBinding(session, {"x": x}, {"y": None})
    free.run()
    assert flat(free.allocated())[0].tolist() == [10, 10]


def test_an_output_of_another_size_is_not_broadcast() -> None:
    session, y = _Doubles(), np.zeros((2, 1))
    binding = CopiedBinding(session, {"x": np.ones((2, 1))}, {"y": y})
    session.rows = 4
    with pytest.raises(RunFailed) as caught:
        binding.run()
    assert caught.value.detail == "'y' came as (4, 1), where (2, 1) was announced"
    assert not y.any()
