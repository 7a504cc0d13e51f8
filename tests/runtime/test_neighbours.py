from __future__ import annotations

import os

import pytest

from rnnport.runtime.neighbours import NEIGHBOURS, Neighbours, Watchers, neighbours
from tests.guests import scripted

movable = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads stay here")


def test_the_slowest_core_counts() -> None:
    times = {0: 1e-5, 1: 3e-5}
    found = Neighbours(times.items, lambda seconds: None)
    assert found.slowdown() == pytest.approx(1.0)
    times[1] *= 1.8
    assert found.slowdown() == pytest.approx(1.8)


def test_a_core_that_settles_at_another_clock_is_not_slow_for_ever() -> None:
    pace = [1e-5]
    found = Neighbours(lambda: [(0, pace[0])], lambda seconds: None)
    pace[0] = 1.3e-5
    slowdowns = [found.slowdown() for _ in range(5000)]
    assert slowdowns[0] == pytest.approx(1.3)
    assert slowdowns[-1] == pytest.approx(1.0)


def test_a_core_that_was_not_there_before_is_no_slow_one() -> None:
    cores = [0]
    found = Neighbours(lambda: [(core, 1e-5) for core in cores], lambda seconds: None)
    cores.append(1)
    assert found.slowdown() == pytest.approx(1.0)


def test_it_waits_until_the_cores_are_left_alone() -> None:
    assert scripted([1.9, 1.5, 1.0, 1.9]).wait(10.0) == pytest.approx(1.0)


def test_it_does_not_wait_for_ever() -> None:
    assert scripted([1.9] * 1000).wait(0.0) == pytest.approx(1.9)


def test_loops_take_time() -> None:
    assert all(0 < seconds < 1 for _, seconds in Watchers().look())
    assert 0 < neighbours().slowdown() < 1000
    assert neighbours() is neighbours()
    assert NEIGHBOURS > 1


@movable
def test_every_core_is_looked_at_and_the_caller_stays() -> None:
    before = os.sched_getaffinity(0)
    watchers = Watchers()
    for _ in range(3):
        assert [core for core, _ in watchers.look()] == sorted(before)
    assert os.sched_getaffinity(0) == before


@movable
def test_threads_that_may_not_be_bound_look_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, cores: object) -> None:
        raise PermissionError(pid)

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    assert len(Watchers().look()) == len(os.sched_getaffinity(0))
