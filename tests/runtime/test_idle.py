from __future__ import annotations

import threading
import time

from rnnport.runtime.idle import until_idle


def test_threads_that_sleep_are_not_waited_for() -> None:
    assert until_idle(10.0)


def test_threads_that_work_are() -> None:
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            sum(range(1000))

    worker = threading.Thread(target=work)
    worker.start()
    threading.Timer(0.1, ended.set).start()
    assert until_idle(10.0)
    assert ended.is_set()
    worker.join()


def test_not_for_ever() -> None:
    ended = threading.Event()
    worker = threading.Thread(target=lambda: [sum(range(1000)) for _ in iter(ended.is_set, True)])
    worker.start()
    started = time.perf_counter()
    assert not until_idle(0.05)
    assert time.perf_counter() - started < 5
    ended.set()
    worker.join()
