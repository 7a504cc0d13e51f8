from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from rnnport.errors import InputError, PoolFull, SnapshotRefused, StreamError, UsageError
from rnnport.runtime.pool import StreamPool
from rnnport.runtime.stream import Stream
from tests.runtime.streams import NAMES, at, chunk, fixed, flat, runner
from tests.tiny_streams import F, U

LONG = 30.0
ZERO = np.zeros(F, np.float32)


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run main; nothing may complain, and no task may be left."""
    complaints: list[Any] = []

    async def watched() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(False)
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        await asyncio.wait_for(main(), LONG)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(watched())
    assert complaints == []


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that were stepped."""
    sizes: list[int] = []
    real = StreamPool.step_checked

    def step_checked(self: StreamPool, ids: Any, arrays: Any) -> Any:
        sizes.append(len(ids))
        return real(self, ids, arrays)

    monkeypatch.setattr(StreamPool, "step_checked", step_checked)
    return sizes


class Gate:
    """Holds the worker thread inside a step until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered, self.go = threading.Event(), threading.Event()
        real = StreamPool.step_checked

        def step_checked(pool: StreamPool, ids: Any, arrays: Any) -> Any:
            self.entered.set()
            assert self.go.wait(LONG)
            return real(pool, ids, arrays)

        monkeypatch.setattr(StreamPool, "step_checked", step_checked)

    async def wait(self) -> None:
        await asyncio.to_thread(self.entered.wait, LONG)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


@pytest.mark.parametrize("name", NAMES)
def test_many_streams_equal_one_stepper_each(name: str) -> None:
    async def main() -> None:
        async with runner(name).streams(max_batch=4) as streams:
            await asyncio.gather(*(live(streams, seed) for seed in range(6)))

    async def live(streams: Any, seed: int) -> None:
        own = fixed(name, seed=seed)
        stream = streams.open(fixed=own)
        alone = runner(name).stepper(fixed=own and {k: v[None] for k, v in own.items()})
        x = chunk(name, 1, 6, seed)
        for step in range(4):
            one = at(x, step)
            same(await stream.step(**{k: v[0] for k, v in one.items()}), alone.step(**one))
        same(await stream.feed(**{k: v[0] for k, v in x.items()}), alone.feed(**x))
        blob = await stream.snapshot()
        assert blob == alone.snapshot()
        await stream.reset()
        alone.reset()
        same(await stream.feed(**{k: v[0] for k, v in x.items()}), alone.feed(**x))
        await stream.close()
        copy = streams.restore(blob)
        alone.restore(blob)
        same(await copy.feed(**{k: v[0] for k, v in x.items()}), alone.feed(**x))

    def same(found: Any, expected: Any) -> None:
        for a, b in zip(flat(found), flat(expected), strict=True):
            np.testing.assert_allclose(a, b[0], rtol=0, atol=1e-6)

    run(main)


def test_waiting_streams_share_a_batch(batches: list[int]) -> None:
    """At once when every open stream waits, however long max_wait is."""

    async def main() -> None:
        async with runner("lstm").streams(max_wait=LONG) as streams:
            opened = [streams.open() for _ in range(5)]
            for _ in range(3):
                ys = await asyncio.gather(*(stream.step(ZERO) for stream in opened))
            assert [y.shape for y in ys] == [(U,)] * 5
            await asyncio.gather(*(stream.close() for stream in opened[1:]))
            await opened[0].step(ZERO)

    run(main)
    assert batches == [5, 5, 5, 1]


def test_a_full_batch_does_not_wait(batches: list[int]) -> None:
    async def main() -> None:
        async with runner("lstm").streams(max_batch=2, max_wait=LONG) as streams:
            opened = [streams.open() for _ in range(5)]
            await asyncio.gather(*(stream.step(ZERO) for stream in opened[:4]))

    run(main)
    assert batches == [2, 2]


def test_nobody_waits_longer_than_max_wait(batches: list[int]) -> None:
    async def main() -> None:
        async with runner("lstm").streams(max_wait=0.01) as streams:
            first, _ = streams.open(), streams.open()
            start = time.monotonic()
            await first.step(ZERO)
            assert time.monotonic() - start >= 0.009

    run(main)
    assert batches == [1]


def test_steps_of_one_stream_are_served_in_order_in_batches_of_their_own(
    batches: list[int],
) -> None:
    async def main() -> None:
        async with runner("counter").streams() as streams:
            stream = streams.open()
            asked = [stream.step(ZERO) for _ in range(3)]
            asked += [stream.reset(), stream.step(ZERO), stream.close()]
            ys = await asyncio.gather(*asked)
            assert [int(y[0]) for y in ys[:3]] == [0, 1, 2]
            assert int(ys[4][0]) == 0

    run(main)
    assert batches == [1, 1, 1, 1]


def test_the_event_loop_is_not_blocked(gate: Gate) -> None:
    async def main() -> None:
        async with runner("lstm").streams() as streams:
            stream = streams.open()
            step = asyncio.create_task(stream.step(ZERO))
            await gate.wait()
            another = streams.open()
            assert len(streams) == 2
            assert not step.done()
            gate.go.set()
            await step
            await another.step(ZERO)

    run(main)


def test_no_more_than_max_pending_wait(gate: Gate) -> None:
    async def main() -> None:
        async with runner("lstm").streams(max_batch=2, max_pending=3) as streams:
            opened = [streams.open() for _ in range(9)]
            tasks = [asyncio.create_task(stream.step(ZERO)) for stream in opened]
            await gate.wait()
            await asyncio.sleep(0.01)
            assert len(streams._waiting) == 3
            gate.go.set()
            assert len(await asyncio.gather(*tasks)) == 9
            assert len(streams._waiting) == 0

    run(main)


def test_a_bad_input_fails_its_own_awaiter_only(batches: list[int]) -> None:
    async def main() -> None:
        async with runner("embedded").streams(max_wait=LONG) as streams:
            opened = [streams.open() for _ in range(4)]
            # 9 is beyond the table: only onnxruntime can tell.
            asked = [stream.step(token) for stream, token in zip(opened, (1, 9, 2, 3), strict=True)]
            ys = await asyncio.gather(*asked, return_exceptions=True)
            assert isinstance(ys[1], InputError)
            assert "out of data bounds" in str(ys[1])
            alone = runner("embedded").stepper()
            for y, token in ((ys[0], 1), (ys[2], 2), (ys[3], 3)):
                alone.reset()
                np.testing.assert_allclose(y, alone.step([token])[0], atol=1e-6)
            with pytest.raises(
                InputError, match=r"received: float64 \(2,\) \| expected: int64 \(\)"
            ):
                await opened[0].step(np.zeros(2))

    run(main)
    assert batches == [4, 2, 1, 1, 2]


def test_a_bad_chunk_fails_its_own_awaiter_only() -> None:
    async def main() -> None:
        async with runner("embedded").streams(max_wait=LONG) as streams:
            one, two, three = (streams.open() for _ in range(3))
            ys = await asyncio.gather(
                one.feed([1, 2, 3]), two.feed([1, 9]), three.step(4), return_exceptions=True
            )
            assert ys[0].shape == (3, U)
            assert isinstance(ys[1], InputError)
            assert ys[2].shape == (U,)

    run(main)


def test_a_step_cancelled_before_its_batch_never_happens(gate: Gate) -> None:
    async def main() -> None:
        async with runner("counter").streams(max_pending=2) as streams:
            stream = streams.open()
            first = asyncio.create_task(stream.step(ZERO))
            await gate.wait()
            # Two in the queue, one before it.
            others = [asyncio.create_task(stream.step(ZERO)) for _ in range(3)]
            await asyncio.sleep(0)
            for task in (others[0], others[2]):
                task.cancel()
            gate.go.set()
            await asyncio.wait([first, *others])
            assert [task.cancelled() for task in others] == [True, False, True]
            assert others[1].result()[0] == 1
            assert (await stream.step(ZERO))[0] == 2

    run(main)


def test_a_step_cancelled_while_it_runs_has_happened(gate: Gate) -> None:
    async def main() -> None:
        async with runner("counter").streams(max_wait=LONG) as streams:
            one, two = streams.open(), streams.open()
            tasks = [asyncio.create_task(stream.step(ZERO)) for stream in (one, two)]
            await gate.wait()
            tasks[0].cancel()
            with suppress(asyncio.CancelledError):
                await tasks[0]
            gate.go.set()
            assert (await tasks[1])[0] == 0
            ys = await asyncio.gather(one.step(ZERO), two.step(ZERO))
            assert [y[0] for y in ys] == [1, 1]

    run(main)


def test_leaving_serves_what_waits(gate: Gate) -> None:
    async def main() -> None:
        async with runner("counter").streams(max_wait=LONG, max_pending=2) as streams:
            stream, _ = streams.open(), streams.open()
            tasks = [asyncio.create_task(stream.step(ZERO)) for _ in range(5)]
            await asyncio.sleep(0)
            gate.go.set()
        assert [int(task.result()[0]) for task in tasks] == [0, 1, 2, 3, 4]
        for call in (stream.step(ZERO), stream.close(), stream.snapshot()):
            with pytest.raises(StreamError) as caught:
                await call
            assert str(caught.value) == (
                "streams | received: a call after the context was left | expected: an open one | "
                "remedy: await every step inside the async with block"
            )
        with pytest.raises(StreamError, match="after the context was left"):
            streams.open()

    run(main)


def test_leaving_by_an_exception_refuses_what_waits(gate: Gate) -> None:
    tasks: list[asyncio.Task[Any]] = []

    async def leave() -> None:
        async with runner("counter").streams(max_pending=2) as streams:
            stream = streams.open()
            tasks.append(asyncio.create_task(stream.step(ZERO)))
            await gate.wait()
            tasks.extend(asyncio.create_task(stream.step(ZERO)) for _ in range(4))
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.01, gate.go.set)
            raise ZeroDivisionError

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await leave()
        assert (await tasks[0])[0] == 0
        for result in await asyncio.gather(*tasks[1:], return_exceptions=True):
            assert isinstance(result, StreamError)

    run(main)


def test_the_whole_task_may_be_cancelled() -> None:
    async def serve() -> None:
        async with runner("counter").streams(max_wait=LONG) as streams:
            one, _ = streams.open(), streams.open()
            await one.step(ZERO)

    async def main() -> None:
        task = asyncio.create_task(serve())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)


def test_a_closed_stream_says_so(gate: Gate) -> None:
    gate.go.set()

    async def main() -> None:
        async with runner("lstm").streams(capacity=1) as streams:
            stream = streams.open()
            with pytest.raises(PoolFull) as full:
                streams.open()
            assert str(full.value) == (
                "streams | received: one more stream than the capacity of 1 | expected: at most 1 "
                "open streams | remedy: close a stream, or pass a larger capacity to "
                "runner.streams"
            )
            await stream.close()
            assert len(streams) == 0
            for call in (stream.step(ZERO), stream.close(), stream.reset()):
                with pytest.raises(StreamError) as caught:
                    await call
                assert str(caught.value) == (
                    "stream | received: closed | expected: an open stream | "
                    "remedy: open another with streams.open()"
                )
            await streams.open().step(ZERO)

    run(main)


def test_a_close_that_is_cancelled_in_time_closes_nothing(gate: Gate) -> None:
    async def main() -> None:
        async with runner("counter").streams() as streams:
            stream = streams.open()
            step = asyncio.create_task(stream.step(ZERO))
            await gate.wait()
            close = asyncio.create_task(stream.close())
            await asyncio.sleep(0)
            with pytest.raises(StreamError, match="received: closed"):
                await stream.step(ZERO)
            close.cancel()
            gate.go.set()
            await asyncio.wait([step, close])
            assert (await stream.step(ZERO))[0] == 1

    run(main)


def test_arrays_may_be_reused_while_a_step_waits(gate: Gate) -> None:
    async def main() -> None:
        async with runner("counter").streams() as streams:
            stream, x = streams.open(), np.zeros(F, np.float32)
            tasks = [asyncio.create_task(stream.step(x)) for _ in range(2)]
            await gate.wait()
            x[:] = 100
            gate.go.set()
            assert [y[0] for y in await asyncio.gather(*tasks)] == [0, 1]

    run(main)


def test_fixed_inputs_are_checked_when_a_stream_is_opened() -> None:
    async def main() -> None:
        async with runner("speaker").streams() as streams:
            with pytest.raises(InputError, match=r"fixed input 'speaker' \| received: nothing"):
                streams.open()
            with pytest.raises(SnapshotRefused):
                streams.restore(b"junk")
            assert len(streams) == 0
            stream: Stream = streams.open(fixed={"speaker": np.zeros(U)})
            await stream.reset(fixed={"speaker": np.ones(U)})
            await stream.reset()
            one = runner("speaker").stepper(fixed={"speaker": np.ones((1, U))})
            np.testing.assert_allclose(await stream.step(ZERO), one.step(ZERO[None])[0], atol=1e-6)

    run(main)


def test_streams_are_used_inside_their_context_once() -> None:
    async def main() -> None:
        streams = runner("lstm").streams()
        with pytest.raises(StreamError) as caught:
            streams.open()
        assert str(caught.value) == (
            "streams | received: not entered | expected: an async with block | "
            "remedy: async with runner.streams() as streams: …"
        )
        async with streams:
            with pytest.raises(StreamError, match="entered twice"):
                await streams.__aenter__()

    run(main)


@pytest.mark.parametrize(
    ("given", "subject"),
    [
        ({"max_batch": 0}, "max_batch"),
        ({"max_wait": -1}, "max_wait"),
        ({"max_wait": float("nan")}, "max_wait"),
        ({"max_wait": True}, "max_wait"),
        ({"capacity": 0}, "capacity"),
        ({"max_pending": 0}, "max_pending"),
    ],
)
def test_numbers_that_make_no_sense(given: dict[str, Any], subject: str) -> None:
    with pytest.raises(UsageError, match=rf"^{subject} \| received: "):
        runner("lstm").streams(**given)
