from __future__ import annotations

import itertools
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rnnport.errors import InputError, PoolFull, SnapshotRefused, StreamError, UsageError
from rnnport.runtime.pool import StreamPool
from rnnport.runtime.stepper import Stepper
from tests.runtime.streams import NAMES, at, chunk, fixed, flat, runner
from tests.tiny_streams import F, U


def one_row(fixed_row: dict[str, np.ndarray] | None) -> dict[str, np.ndarray] | None:
    return fixed_row and {name: value[None] for name, value in fixed_row.items()}


def close_to(found: Any, expected: Any) -> None:
    """Outputs of one stream against those of a stepper of one row."""
    for a, b in zip(flat(found), flat(expected), strict=True):
        np.testing.assert_allclose(a, b[0], rtol=0, atol=1e-6)
        assert a.dtype == b.dtype


class Isolation(RuleBasedStateMachine):
    """Streams in a pool against one plain stepper each, whatever the others do."""

    def __init__(self) -> None:
        super().__init__()
        self.alone: dict[int, Stepper] = {}
        self.closed: list[int] = []
        self.seed = 0

    @initialize(name=st.sampled_from(NAMES))
    def begin(self, name: str) -> None:
        self.name = name
        self.pool = runner(name).pool(6)

    @rule()
    def open(self) -> None:
        self.seed += 1
        own = fixed(self.name, seed=self.seed)
        if len(self.alone) == self.pool.capacity:
            with pytest.raises(PoolFull):
                self.pool.open(fixed=own)
            return
        stream = self.pool.open(fixed=own)
        assert stream not in self.alone
        assert stream not in self.closed
        self.alone[stream] = runner(self.name).stepper(fixed=one_row(own))

    @precondition(lambda self: self.alone)
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        ids, idle = self.some(data)
        x = at(chunk(self.name, len(ids), 1, self.seed), 0)
        ys = self.pool.step(ids, **x)
        for i, stream in enumerate(ids):
            y = self.alone[stream].step(**{name: a[i : i + 1] for name, a in x.items()})
            close_to([a[i] for a in flat(ys)], y)
        self.untouched(idle)

    @precondition(lambda self: self.alone)
    @rule(data=st.data())
    def feed(self, data: st.DataObject) -> None:
        ids, idle = self.some(data)
        lengths = [data.draw(st.integers(1, 4)) for _ in ids]
        chunks = [chunk(self.name, 1, n, self.seed + i) for i, n in enumerate(lengths)]
        given = {name: [c[name][0] for c in chunks] for name in chunks[0]}
        ys = self.pool.feed(ids, **given)
        for stream, x, y in zip(ids, chunks, ys, strict=True):
            close_to(y, self.alone[stream].feed(**x))
        self.untouched(idle)

    @precondition(lambda self: self.alone)
    @rule(data=st.data())
    def reset(self, data: st.DataObject) -> None:
        ids, idle = self.some(data)
        self.pool.reset(ids)
        for stream in ids:
            self.alone[stream].reset()
        self.untouched(idle)

    @precondition(lambda self: self.alone)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        stream = data.draw(st.sampled_from(sorted(self.alone)))
        idle = self.before([i for i in self.alone if i != stream])
        self.pool.close(stream)
        del self.alone[stream]
        self.closed.append(stream)
        self.untouched(idle)

    @precondition(lambda self: self.alone and len(self.alone) < self.pool.capacity)
    @rule(data=st.data())
    def copy_by_snapshot(self, data: st.DataObject) -> None:
        stream = data.draw(st.sampled_from(sorted(self.alone)))
        blob = self.pool.snapshot(stream)
        copy = self.pool.restore(blob)
        assert self.pool.snapshot(copy) == blob
        self.alone[copy] = runner(self.name).stepper(fixed=fixed(self.name, 1))
        self.alone[copy].restore(self.alone[stream].snapshot())

    @rule(capacity=st.integers(1, 40))
    def resize(self, capacity: int) -> None:
        idle = self.before(list(self.alone))
        if capacity < len(self.alone):
            with pytest.raises(UsageError):
                self.pool.resize(capacity)
        else:
            self.pool.resize(capacity)
        self.untouched(idle)

    @precondition(lambda self: self.alone)
    @rule()
    def refused(self) -> None:
        idle = self.before(list(self.alone))
        ids = list(self.alone)
        x = at(chunk(self.name, len(ids) + 1, 1), 0)
        for wrong in ([*ids, ids[0]], [*ids, 3], [*ids, *self.closed[:1]]):
            with pytest.raises((StreamError, InputError)):
                self.pool.step(wrong, **x)
        with pytest.raises(InputError):
            self.pool.step(ids, **x)
        self.untouched(idle)

    @invariant()
    def what_is_open(self) -> None:
        if hasattr(self, "pool"):
            assert len(self.pool) == len(self.alone)
            assert sorted(self.pool.ids()) == sorted(self.alone)
            assert not any(stream in self.pool for stream in self.closed)

    def some(self, data: st.DataObject) -> tuple[list[int], dict[int, bytes]]:
        """Some streams in some order, and the others as they are."""
        self.seed += 1
        everyone = data.draw(st.permutations(sorted(self.alone)))
        ids = everyone[: data.draw(st.integers(1, len(everyone)))]
        if data.draw(st.booleans()):
            ids = self.pool.ids()
        return ids, self.before([stream for stream in self.alone if stream not in ids])

    def before(self, streams: list[int]) -> dict[int, bytes]:
        return {stream: self.pool.snapshot(stream) for stream in streams}

    def untouched(self, idle: dict[int, bytes]) -> None:
        assert self.before(list(idle)) == idle


Isolation.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestIsolation = Isolation.TestCase


def opened(name: str = "lstm", count: int = 3, capacity: int = 8) -> tuple[StreamPool, list[int]]:
    pool = runner(name).pool(capacity)
    return pool, [pool.open(fixed=fixed(name, seed=i)) for i in range(count)]


def test_outputs_come_in_the_order_of_the_ids() -> None:
    x = np.random.default_rng(0).standard_normal((3, F)).astype(np.float32)
    pool, ids = opened()
    ys = pool.step(ids, x)
    assert (ys.shape, ys.dtype) == ((3, U), np.float32)
    other, others = opened()
    swapped = other.step([others[2], others[0], others[1]], x[[2, 0, 1]])
    np.testing.assert_array_equal(swapped, ys[[2, 0, 1]])


def test_every_way_to_step_and_feed() -> None:
    x = np.random.default_rng(0).standard_normal((3, F))
    expected = opened()[0].step(opened()[1], x)
    for args, kwargs in (([x.tolist()], {}), ([{"x": x}], {}), ([], {"x": x.astype(np.float32)})):
        pool, ids = opened()
        np.testing.assert_array_equal(pool.step(ids, *args, **kwargs), expected)
        pool, ids = opened()
        np.testing.assert_array_equal(pool.step(np.array(ids), *args, **kwargs), expected)
    for chunks in ([x, x[:1], x[1:]], [x.tolist(), [x[0].tolist()], x[1:]]):
        pool, ids = opened()
        ys = pool.feed(ids, chunks)
        assert [y.shape for y in ys] == [(3, U), (1, U), (2, U)]


def test_nested_inputs_and_outputs() -> None:
    pool, ids = opened("pair")
    lefts = [np.zeros((n, 2)) for n in (1, 3, 2)]
    words = [np.zeros(n, int) for n in (1, 3, 2)]
    ys = pool.feed(ids, {"video": lefts, "words": words})
    assert [y["all"].shape for y in ys] == [(1, U), (3, U), (2, U)]
    assert [y["end"].shape for y in ys] == [(U,)] * 3
    assert pool.step(ids, np.zeros((3, 2)), tokens=[0, 1, 2])["end"].shape == (3, U)
    pool.feed(ids, lefts, words)


def test_a_one_step_form_takes_chunks_too() -> None:
    pool, ids = opened("one_step")
    x = [np.random.default_rng(n).standard_normal((n, F)) for n in (2, 4, 1)]
    stepped, alone = opened("one_step")
    for y, stream, steps in zip(pool.feed(ids, x), alone, x, strict=True):
        np.testing.assert_allclose(
            y, [stepped.step([stream], step[None])[0] for step in steps], atol=1e-6
        )


def test_fixed_inputs_are_the_streams_own() -> None:
    pool, ids = opened("speaker")
    before = pool.step(ids, np.zeros((3, F)))
    pool.reset(ids)
    np.testing.assert_array_equal(pool.step(ids, np.zeros((3, F))), before)
    pool.reset([ids[1]], fixed={"speaker": np.zeros((1, U))})
    pool.close(ids[0])
    later = pool.step([ids[2], ids[1]], np.zeros((2, F)))
    assert not np.array_equal(later[1], before[1])


def test_a_stream_may_start_from_an_input() -> None:
    pool = runner("started").pool()
    given, zero = pool.open(fixed={"h0": np.ones(U)}), pool.open()
    np.testing.assert_array_equal(pool.state(given)["gru_h"], np.ones(U))
    assert not pool.state(zero)["gru_h"].any()
    pool.reset([zero, given], fixed={"h0": [[1] * U, [2] * U]})
    np.testing.assert_array_equal(pool.state(given)["gru_h"], np.full(U, 2))


def test_state_is_a_copy() -> None:
    pool, (stream, *_) = opened("counter")
    pool.step([stream], np.zeros((1, F)))
    state = pool.state(stream)
    assert (state["count"], state["begun"]) == (1, True)
    state["count"][...] = 9
    assert pool.state(stream)["count"] == 1


def test_a_full_pool_and_its_limit() -> None:
    pool, ids = opened(count=3, capacity=3)
    blob = pool.snapshot(ids[0])
    for more in (pool.open, lambda: pool.restore(blob)):
        with pytest.raises(PoolFull) as caught:
            more()
        assert str(caught.value) == (
            "pool | received: one more stream than its capacity of 3 | expected: at most 3 open "
            "streams | remedy: close a stream, or raise the limit with pool.resize"
        )
    pool.resize(4)
    pool.open()
    assert (len(pool), pool.capacity) == (4, 4)
    with pytest.raises(UsageError) as resized:
        pool.resize(3)
    assert str(resized.value) == (
        "capacity | received: 3 | expected: at least 4, the streams that are open | "
        "remedy: close streams first"
    )
    assert repr(pool) == "<StreamPool of 4 open streams, capacity 4>"


@pytest.mark.parametrize("capacity", [0, -1, True, 2.0, (1 << 24) + 1])
def test_capacities_that_make_no_sense(capacity: Any) -> None:
    with pytest.raises(UsageError, match=r"^capacity \| received: "):
        runner("lstm").pool(capacity)


def test_inputs_that_do_not_fit() -> None:
    pool, ids = opened()
    with pytest.raises(InputError) as caught:
        pool.step(ids, np.zeros((2, F)))
    assert str(caught.value) == (
        "input 'x', axis 0 | received: size 2 in float32 (2, 3) | "
        "expected: size 3, one row for each of the ids | remedy: pass as many rows"
    )
    with pytest.raises(InputError) as caught:
        pool.feed(ids, [np.zeros((2, F)), np.zeros((0, F)), np.zeros((2, F + 1))])
    assert str(caught.value) == (
        "chunk 1, input 'x' | received: float64 (0, 3) | expected: float32 (T, 3) | "
        "remedy: leave it out: axis 0 (T) is empty\n"
        "chunk 2, input 'x' | received: float64 (2, 4) | expected: float32 (T, 3) | "
        "remedy: give axis 1 size 3"
    )
    with pytest.raises(InputError) as caught:
        pool.feed(ids, [np.zeros((2, F))])
    assert str(caught.value) == (
        "input 'x' | received: 1 chunks | expected: 3 chunks, one for each id | "
        "remedy: pass as many chunks as ids"
    )
    with pytest.raises(InputError, match=r"received: int \| expected: 3 chunks"):
        pool.feed(ids, 5)
    with pytest.raises(InputError, match=r"given with a step"):
        opened("speaker")[0].step(ids, np.zeros((3, F)), speaker=1)
    with pytest.raises(InputError) as caught:
        opened("speaker")[0].open(fixed={"speaker": np.zeros((1, U))})
    assert str(caught.value) == (
        "input 'speaker' | received: float64 (1, 4) | expected: float32 (4,) | "
        "remedy: drop the first axis: x[0]"
    )


def test_what_onnxruntime_refuses_changes_no_stream() -> None:
    """Also where earlier pieces of a feed went well."""
    pool, ids = opened("embedded")
    pool.step(ids, [1, 2, 3])
    before = [pool.snapshot(stream) for stream in ids]
    for call in (
        lambda: pool.step(ids, [1, 9, 2]),
        lambda: pool.step(ids[::-1], [1, 9, 2]),
        lambda: pool.feed(ids, [[1], [1, 2], [1, 2, 9]]),
    ):
        with pytest.raises(InputError, match="out of data bounds"):
            call()
        assert [pool.snapshot(stream) for stream in ids] == before


def test_a_snapshot_of_another_model() -> None:
    pool, ids = opened()
    with pytest.raises(SnapshotRefused, match="another model"):
        opened("last_only")[0].restore(pool.snapshot(ids[0]))
    assert len(pool) == 3


def test_threads_on_streams_of_their_own() -> None:
    pool = runner("counter").pool(64)

    def work() -> None:
        for _ in range(30):
            ids = [pool.open() for _ in range(4)]
            for _ in range(3):
                pool.step(ids, np.zeros((4, F)))
            counts.append([int(pool.state(stream)["count"]) for stream in ids])
            for stream in ids:
                pool.close(stream)

    counts: list[list[int]] = []
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [[3] * 4] * 120
    assert len(pool) == 0


def test_a_stream_costs_its_states_and_little_more() -> None:
    pool = runner("lstm").pool(5000)
    pool.open()
    tracemalloc.start()
    try:
        for _ in range(4095):
            pool.open()
        used = tracemalloc.get_traced_memory()[0]
        assert used / 4095 < 2 * 4 * U + 200
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_is_flat_over_many_steps() -> None:
    pool, ids = opened()
    x, sizes = np.zeros((3, F), np.float32), []
    for _ in range(5):
        for _ in range(1500):
            pool.step(ids, x)
            pool.close(pool.restore(pool.snapshot(ids[0])))
        sizes.append(int(Path("/proc/self/statm").read_text().split()[1]))
    # In every window, if it leaked; others in this process may take memory in one of them.
    assert min(b - a for a, b in itertools.pairwise(sizes)) < 100


def test_shrinking_gives_memory_back() -> None:
    pool = runner("lstm").pool(4096)
    ids = [pool.open() for _ in range(4096)]
    pool.step([ids[-1]], np.ones((1, F)))
    state = pool.snapshot(ids[-1])
    for stream in ids[:-2]:
        pool.close(stream)
    pool.resize(2)
    assert {array.shape for array in pool._states.arrays} == {(2, U)}
    assert pool.snapshot(ids[-1]) == state
