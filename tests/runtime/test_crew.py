"""Jobs side by side: all are run once, failures come out, and nothing waits for busy threads."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from rnnport.runtime.crew import cores, run_together


def test_all_run_once() -> None:
    for count in (1, 2, 5, 40):
        seen: list[int] = []
        run_together([partial(seen.append, k) for k in range(count)])
        assert sorted(seen) == list(range(count))


def test_the_first_job_runs_in_the_callers_thread() -> None:
    seen = []
    run_together([lambda: seen.append(threading.get_ident()), lambda: None])
    assert seen == [threading.get_ident()]


@pytest.mark.skipif(cores() < 2, reason="one processor")
def test_they_run_at_the_same_time() -> None:
    """Each waits for the other."""
    both = threading.Barrier(2, timeout=20)
    run_together([both.wait, both.wait])  # type: ignore[list-item]


def test_failures_come_out_when_all_have_ended() -> None:
    ended = []

    def fail(text: str) -> None:
        raise ValueError(text)

    def slow() -> None:
        time.sleep(0.05)
        ended.append(1)

    with pytest.raises(ValueError, match="second"):
        run_together([slow, lambda: fail("second"), lambda: fail("third"), slow])
    assert ended == [1, 1]


def test_many_callers() -> None:
    """More jobs than threads, from several threads, while all are busy."""
    lock, total = threading.Lock(), [0]

    def add() -> None:
        time.sleep(0.001)
        with lock:
            total[0] += 1

    with ThreadPoolExecutor(8) as callers:
        list(callers.map(lambda _: run_together([add] * 5), range(20)))
    assert total == [100]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork() -> None:
    run_together([lambda: None] * 3)
    child = os.fork()
    if child == 0:
        seen: list[int] = []
        run_together([lambda: seen.append(1)] * 4)
        os._exit(0 if len(seen) == 4 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_caller_does_not_wait_while_others_are_left() -> None:
    """Two long jobs for the others, and many short ones that somebody has to do meanwhile."""
    callers: list[int] = []

    def short() -> None:
        time.sleep(0.002)
        callers.append(threading.get_ident())

    run_together([short, lambda: time.sleep(0.2), *[short] * 20])
    assert callers.count(threading.get_ident()) >= 10
