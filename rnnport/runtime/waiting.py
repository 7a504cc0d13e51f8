"""Waiting: requests in order of arrival, and when a batch of them is due."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass

from rnnport.runtime.batch import BATCHED, Outcome, Place, Request

__all__ = ["Waiter", "Waiting"]


@dataclass(eq=False)
class Waiter:
    """A request and who waits for it.

    Attributes:
        request: what is wanted.
        future: gets the Outcome, as a value: an error nobody fetches then leaves no warning.
        since: when it came, in the loop's time.
        taken: it is being served, or has been.
    """

    request: Request
    future: asyncio.Future[Outcome]
    since: float
    taken: bool = False


class Waiting:
    """The queue of waiters.

    Args:
        max_batch: the most requests in a batch.
        max_wait: seconds after which the oldest request must be served.
        max_pending: the most that wait; a full queue is due at once.
    """

    def __init__(self, max_batch: int, max_wait: float, max_pending: int) -> None:
        self._max_batch, self._max_wait, self._max_pending = max_batch, max_wait, max_pending
        self._queue: deque[Waiter] = deque()
        self._streams: Counter[Place] = Counter()
        # Resets, snapshots and closes: company would not make them faster.
        self._others = 0

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, waiter: Waiter) -> None:
        """Put a waiter last."""
        self._queue.append(waiter)
        self._streams[waiter.request.place] += 1
        self._others += waiter.request.kind not in BATCHED

    def drop(self, waiter: Waiter) -> None:
        """Forget a waiter that was not taken."""
        self._queue.remove(waiter)
        self._forget(waiter)

    def deadline(self) -> float | None:
        """When a batch is due at the latest."""
        return self._queue[0].since + self._max_wait if self._queue else None

    def due(self, now: float, open_streams: int) -> bool:
        """Whether a batch should start: full, every open stream in it, or the oldest waited."""
        if not self._queue:
            return False
        return (
            self._others > 0
            or len(self._streams) >= min(self._max_batch, open_streams)
            or len(self._queue) >= self._max_pending
            or now >= self._queue[0].since + self._max_wait
        )

    def take(self) -> list[Waiter]:
        """The next batch: in order of arrival, one request of each stream."""
        taken: dict[Place, Waiter] = {}
        left: deque[Waiter] = deque()
        for waiter in self._queue:
            place = waiter.request.place
            if place in taken or len(taken) == self._max_batch:
                left.append(waiter)
            else:
                taken[place] = waiter
        self._queue = left
        for waiter in taken.values():
            waiter.taken = True
            self._forget(waiter)
        return list(taken.values())

    def take_all(self) -> list[Waiter]:
        """Everything that waits."""
        everything = list(self._queue)
        for waiter in everything:
            waiter.taken = True
        self._queue.clear()
        self._streams.clear()
        self._others = 0
        return everything

    def _forget(self, waiter: Waiter) -> None:
        place = waiter.request.place
        self._others -= waiter.request.kind not in BATCHED
        self._streams[place] -= 1
        if not self._streams[place]:
            del self._streams[place]
