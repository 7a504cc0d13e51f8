"""When something counts as faster, and the race that says so."""

from __future__ import annotations

import time
from collections.abc import Callable

import hypothesis.strategies as st
from hypothesis import given

from rnnport.runtime.racing import race
from rnnport.tuning.contest import NOISE, Contest, better, mean

TIMES = st.floats(1e-6, 1.0)


@given(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=6))
def test_better_is_faster_on_the_mean_and_slower_nowhere(ratios: list[float]) -> None:
    if better(ratios):
        assert mean(ratios) > NOISE
        assert all(ratio >= 1 / NOISE - 1e-9 for ratio in ratios)
    slower = [*ratios, 0.9]
    assert not better(slower)
    assert better([1.1 * max(NOISE, ratio) for ratio in ratios])


def test_nothing_is_no_better() -> None:
    assert mean([]) == 1
    assert not better([1.0, 1.0])


@given(
    st.dictionaries(st.sampled_from("abcd"), TIMES, min_size=1),
    st.sampled_from("abcd"),
    TIMES,
    TIMES,
)
def test_the_winner_won_twice(
    first: dict[str, float], present: str, again_present: float, again_other: float
) -> None:
    first.setdefault(present, 1e-3)
    races: list[set[str]] = []

    def run(calls: object, seconds: float) -> dict[str, float]:
        assert isinstance(calls, dict)
        races.append(set(calls))
        if len(races) == 1:
            return {name: first[name] for name in calls}
        return {name: again_present if name == present else again_other for name in calls}

    calls = {name: lambda: None for name in first}
    won, found = Contest(run, 0.1).winner(calls, present)
    assert found == first
    if won != present:
        assert first[won] == min(first.values())
        assert first[present] > NOISE * first[won]
        assert races[1] == {present, won}
        assert again_present > NOISE * again_other


def test_the_race_itself() -> None:
    """Every call is made, in turns; the slower one comes out slower."""
    made: list[str] = []

    def call(name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            made.append(name)
            time.sleep(seconds)

        return run

    found = race({"slow": call("slow", 0.02), "fast": call("fast", 0.001)}, 0.01)
    assert found["slow"] > found["fast"] >= 0.001
    assert made.count("slow") >= 6
