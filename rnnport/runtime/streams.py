"""Streams: the asyncio front of a pool. Streams that wait together are stepped together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from rnnport.errors import PoolFull, StreamError
from rnnport.runtime.batch import Outcome, Place, Request, serve
from rnnport.runtime.fixed_checks import check_fixed_row
from rnnport.runtime.pool import StreamPool
from rnnport.runtime.snapshot import decode
from rnnport.runtime.stream import Stream
from rnnport.runtime.stream_plan import StreamPlan
from rnnport.runtime.waiting import Waiter, Waiting

__all__ = ["Streams"]


class Streams:
    """An async context in which live streams are opened and stepped.

    A batch starts when max_batch requests wait, when max_wait seconds have passed since the
    oldest, or at once when every open stream waits or something else than a step does. It runs
    in a worker thread. Requests of one stream are served in the order of their arrival. A
    request that is cancelled before its batch starts never happens; one cancelled later has
    happened.

    Args:
        make_pool: makes a pool nobody else uses; called in a worker thread.
        plan: the stream form's.
        capacity: of that pool.
        max_batch: the most requests in a batch.
        max_wait: seconds.
        max_pending: the most requests that wait for a batch; who asks then waits for a place.
    """

    def __init__(
        self,
        make_pool: Callable[[], StreamPool],
        plan: StreamPlan,
        *,
        capacity: int,
        max_batch: int,
        max_wait: float,
        max_pending: int,
    ) -> None:
        self._make_pool, self._plan, self._capacity = make_pool, plan, capacity
        self._waiting = Waiting(max_batch, max_wait, max_pending)
        self._room = asyncio.Semaphore(max_pending)
        self._wake = asyncio.Event()
        self._open = 0
        # Calls that have begun and not ended, in the queue or before it.
        self._calls = 0
        self._running: list[Waiter] = []
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = self._aborted = False

    async def __aenter__(self) -> Self:
        if self._task is not None:
            remedy = "call runner.streams again"
            raise StreamError.of("streams", "entered twice", "one async with", remedy)
        pool = await asyncio.to_thread(self._make_pool)
        self._task = asyncio.create_task(self._dispatch(pool))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Serve what waits, or refuse it where the context is left by an exception."""
        if self._task is None:
            return
        self._closing = True
        if kind is not None:
            self._abort()
        self._wake.set()
        await self._task

    def open(self, *, fixed: Mapping[str, Any] | None = None) -> Stream:
        """Start a stream.

        Args:
            fixed: its fixed inputs by name, without the batch axis; also start values.

        Raises:
            PoolFull: as many streams are open as capacity allows.
            StreamError: the context was left, or not entered.
            InputError: fixed does not fit.
        """
        given = check_fixed_row(self._plan, fixed)
        given = {name: array.copy() for name, array in given.items()}
        return self._new(Place(lambda pool: pool.open(fixed=given)))

    def restore(self, blob: bytes) -> Stream:
        """Open a stream that goes on from a snapshot of one row.

        Raises:
            SnapshotRefused: damaged, or of another model, version or number of rows.
            PoolFull: as many streams are open as capacity allows.
            StreamError: the context was left, or not entered.
        """
        decode(blob, self._plan, 1)
        return self._new(Place(lambda pool: pool.restore(blob)))

    def __len__(self) -> int:
        return self._open

    async def _submit(self, request: Request) -> Any:
        """Wait for room, then for a batch, and return what the request gave."""
        self._check_entered()
        self._calls += 1
        try:
            await self._room.acquire()
            if self._aborted:
                self._room.release()
                raise _left()
            outcome = await self._enqueue(request)
        finally:
            self._calls -= 1
            if self._closing:
                self._wake.set()
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def _new(self, place: Place) -> Stream:
        self._check_entered()
        if self._open >= self._capacity:
            raise PoolFull.of(
                "streams",
                f"one more stream than the capacity of {self._capacity}",
                f"at most {self._capacity} open streams",
                "close a stream, or pass a larger capacity to runner.streams",
            )
        self._open += 1
        return Stream(self._plan, place, self._submit)

    def _check_entered(self) -> None:
        if self._closing:
            raise _left()
        if self._task is None:
            remedy = "async with runner.streams() as streams: …"
            raise StreamError.of("streams", "not entered", "an async with block", remedy)

    async def _enqueue(self, request: Request) -> Outcome:
        loop = asyncio.get_running_loop()
        waiter = Waiter(request, loop.create_future(), loop.time())
        self._waiting.add(waiter)
        self._look()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if not waiter.taken:
                self._waiting.drop(waiter)
                self._room.release()
            raise

    def _look(self) -> None:
        """Wake the dispatcher if a batch is due, or have it woken when it will be."""
        loop = asyncio.get_running_loop()
        if self._due():
            self._wake.set()
        elif self._timer is None and (deadline := self._waiting.deadline()) is not None:
            self._timer = loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wake.set()

    def _due(self) -> bool:
        if self._closing:
            return bool(self._waiting)
        return self._waiting.due(asyncio.get_running_loop().time(), self._open)

    async def _dispatch(self, pool: StreamPool) -> None:
        """Serve batch after batch, until the context is left and nobody waits."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "rnnport-streams") as worker:
            try:
                while await self._next_due():
                    batch = self._running = self._take()
                    requests = [waiter.request for waiter in batch]
                    structure = self._plan.output_structure
                    served = loop.run_in_executor(worker, serve, pool, structure, requests)
                    self._deliver(batch, await served)
            finally:
                self._closing = True
                self._abort()
                # Delivered by now, unless the dispatcher itself was cancelled.
                for waiter in self._running:
                    _refuse(waiter)
                if self._timer is not None:
                    self._timer.cancel()

    async def _next_due(self) -> bool:
        """Wait until a batch is due; False when there will be none."""
        while not self._due():
            if self._closing and not self._calls:
                return False
            self._wake.clear()
            self._look()
            await self._wake.wait()
        return True

    def _take(self) -> list[Waiter]:
        batch = self._waiting.take()
        for _ in batch:
            self._room.release()
        # Some may have been cancelled since they were queued; their tasks have not run yet.
        batch = [waiter for waiter in batch if not waiter.future.done()]
        for waiter in batch:
            waiter.request.place.closed |= waiter.request.kind == "close"
        return batch

    def _deliver(self, batch: list[Waiter], outcomes: list[Outcome]) -> None:
        for waiter, outcome in zip(batch, outcomes, strict=True):
            if waiter.request.kind == "close":
                self._open -= 1
            if not waiter.future.done():
                waiter.future.set_result(outcome)

    def _abort(self) -> None:
        """Refuse everything that waits."""
        self._aborted = True
        for waiter in self._waiting.take_all():
            self._room.release()
            _refuse(waiter)


def _refuse(waiter: Waiter) -> None:
    if not waiter.future.done():
        waiter.future.set_result(Outcome(error=_left()))


def _left() -> StreamError:
    remedy = "await every step inside the async with block"
    return StreamError.of("streams", "a call after the context was left", "an open one", remedy)
