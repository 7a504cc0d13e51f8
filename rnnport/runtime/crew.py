"""Threads of this process, one for each processor, that run parts of one run at the same time.

Each stays on its processor, and the caller's own is left out: Linux wakes a thread where it ran
last or where its waker runs, and on machines whose processors share no cache looks no further, so
that parts meant to run side by side would run one after the other.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import sys
import threading
from collections.abc import Callable, Sequence

__all__ = ["cores", "run_together"]

Job = Callable[[], None]


def cores() -> int:
    """Processors that this process may use."""
    return len(_processors())


def run_together(jobs: Sequence[Job]) -> None:
    """Run all jobs, the first in the caller's thread, and so too what no thread has begun by then.

    So it ends though all threads are busy, or gone since the process was forked.

    Args:
        jobs: one at least; they share nothing.

    Raises:
        Exception: what the first job that failed raised, after all of them have ended.
    """
    first, *others = [_Task(job) for job in jobs]
    _CREW.take(others)
    first.run()
    # From the end, since the others begin at the front.
    for task in [task for task in reversed(others) if not task.run()]:
        task.ended.acquire()
    for task in (first, *others):
        if task.failure is not None:
            raise task.failure


class _Task:
    """A job that is run once, by whoever comes first.

    Attributes:
        ended: a lock that is free once another thread has run it.
        failure: what it raised.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._claimed = threading.Lock()
        self.ended = threading.Lock()
        self.ended.acquire()
        self.failure: Exception | None = None

    def run(self) -> bool:
        """Run it; False where somebody else does, or did."""
        if not self._claimed.acquire(blocking=False):
            return False
        try:
            self._job()
        except Exception as error:
            self.failure = error
        self.ended.release()
        return True


class _Crew:
    """Threads that wait for tasks, begun when first needed."""

    def __init__(self) -> None:
        self._begun: dict[int, queue.SimpleQueue[_Task]] = {}
        self._turn = 0
        self._lock = threading.Lock()

    def take(self, tasks: Sequence[_Task]) -> None:
        """Hand tasks out, to other processors than the caller's."""
        own = _processor()
        others = [p for p in _processors() if p != own] or [0]
        with self._lock:
            for task in tasks:
                self._turn += 1
                self._queue(others[self._turn % len(others)]).put(task)

    def _queue(self, processor: int) -> queue.SimpleQueue[_Task]:
        if processor not in self._begun:
            waiting: queue.SimpleQueue[_Task] = queue.SimpleQueue()
            name = f"rnnport-rows-{processor}"
            threading.Thread(
                target=_serve, args=(waiting, processor), name=name, daemon=True
            ).start()
            self._begun[processor] = waiting
        return self._begun[processor]


def _serve(waiting: queue.SimpleQueue[_Task], processor: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {processor})
    while True:
        waiting.get().run()


def _processors() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _find_processor() -> Callable[[], int]:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            return ctypes.CDLL(None).sched_getcpu
    return lambda: -1


_processor = _find_processor()
_CREW = _Crew()


def _forget_threads() -> None:
    """A forked process has none of them."""
    global _CREW
    _CREW = _Crew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
