from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest
from suite import measure as core
from suite.measure import (
    Block,
    Limits,
    Sample,
    agreed,
    measure,
    rotated,
    sample_of,
)
from timing import block, fastest_third

from rnnport.runtime import neighbours
from tests.guests import scripted

FEW = frozenset({"slow start"})
Script = dict[str, list[float]]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[..., core.Measured]:
    """Runs measure on a script: seconds by contender and round, the share others took by block.

    Guests slow the loop down as told: it is timed before and after each block.
    """

    def run(
        script: Script,
        shares: Iterator[float],
        limits: Limits,
        slowdowns: Iterable[float] = (),
    ) -> core.Measured:
        turns: dict[str, Iterator[float]] = {name: iter(s) for name, s in script.items()}

        def calls(call: Callable[[], str], limits: Limits) -> list[float]:
            return [next(turns[call()])] * 3

        monkeypatch.setattr(core, "_calls", calls)
        monkeypatch.setattr(neighbours, "until_idle", lambda most: True)
        monkeypatch.setattr(core, "others_seconds", lambda: 0.0)
        monkeypatch.setattr(core, "others_share", lambda clocks: next(shares))
        contenders = {name: (lambda name=name: name) for name in script}  # type: ignore[misc]
        firsts = {name: seconds[-1] for name, seconds in script.items()}
        told = scripted(slowdowns)
        return measure(contenders, FEW, limits, told, ours="ours", firsts=firsts)

    return run


def forever(share: float) -> Iterator[float]:
    while True:
        yield share


def test_contenders_that_agree_stop_after_three_rounds(play: Callable[..., core.Measured]) -> None:
    found = play({"ours": [1e-3] * 12, "peer": [1.5e-3] * 12}, forever(0.0), Limits())
    assert found.rounds == 3
    assert found.samples["peer"] == Sample(1.5e-3, 1.5e-3, 1.5e-3, 9)
    assert found.others_share == 0.0


def test_who_does_not_agree_goes_on_and_ours_with_it(play: Callable[..., core.Measured]) -> None:
    script = {"ours": [1e-3] * 12, "peer": [1.5e-3, 1.4e-3, 1.3e-3, 1.2e-3, 1.1e-3, *[1e-3] * 7]}
    found = play(script, forever(0.0), Limits(rounds=6))
    assert found.rounds == 6
    assert found.samples["ours"].calls == found.samples["peer"].calls == 18


def test_some_take_two_rounds_and_slow_calls_one(play: Callable[..., core.Measured]) -> None:
    script = {"ours": [1e-3] * 12, "slow start": [0.1] * 12, "very slow": [0.7] * 12}
    found = play(script, forever(0.0), Limits())
    assert {name: s.calls for name, s in found.samples.items()} == {
        "ours": 9,
        "slow start": 6,
        "very slow": 3,
    }


def test_one_slow_call_is_not_a_slow_contender(play: Callable[..., core.Measured]) -> None:
    found = play({"ours": [0.7, *[1e-3] * 11]}, forever(0.0), Limits())
    assert found.rounds == 3
    assert found.samples["ours"].median == 1e-3


def test_disturbed_rounds_do_not_count_where_quiet_ones_exist(
    play: Callable[..., core.Measured],
) -> None:
    script = {"ours": [9e-3, 1e-3, 1e-3, 1e-3, 1e-3]}
    found = play(script, iter([0.5, 0.0, 0.0, 0.0, 0.0]), Limits())
    assert found.samples["ours"] == Sample(1e-3, 1e-3, 1e-3, 9)
    assert found.others_share == 0.0


@pytest.mark.parametrize("slowdowns", [[1.9, 1.9, 1.0], [1.0, 1.9]], ids=["before", "after"])
def test_blocks_that_guests_slowed_down_do_not_count(
    play: Callable[..., core.Measured], slowdowns: list[float]
) -> None:
    script = {"ours": [9e-3, 1e-3, 1e-3, 1e-3, 1e-3]}
    found = play(script, forever(0.0), Limits(patience=0.0), slowdowns)
    assert found.samples["ours"] == Sample(1e-3, 1e-3, 1e-3, 9)
    assert found.slowdown == pytest.approx(1.0)


def test_a_row_that_guests_always_slow_down_says_so(play: Callable[..., core.Measured]) -> None:
    found = play({"ours": [1e-3] * 5}, forever(0.0), Limits(rounds=5, patience=0.0), [1.5] * 100)
    assert found.slowdown == pytest.approx(1.5)
    assert found.samples["ours"].calls == 15


def test_two_blocks_do_for_whoever_is_far_away(play: Callable[..., core.Measured]) -> None:
    script = {"ours": [1e-3] * 9, "near": [1.5e-3] * 9, "slow": [3e-3] * 9, "fast": [1e-4] * 9}
    found = play(script, forever(0.0), Limits())
    assert {name: s.calls for name, s in found.samples.items()} == {
        "ours": 9,
        "near": 9,
        "slow": 6,
        "fast": 6,
    }


def test_a_row_that_is_never_quiet_says_so(play: Callable[..., core.Measured]) -> None:
    found = play({"ours": [1e-3] * 5}, forever(0.4), Limits(rounds=5))
    assert (found.rounds, found.others_share) == (5, 0.4)
    assert found.samples["ours"].calls == 15


def test_three_rounds_are_finished_however_late(play: Callable[..., core.Measured]) -> None:
    found = play({"ours": [1e-3] * 9, "peer": [1e-3] * 9}, forever(0.0), Limits(seconds=0.0))
    assert found.rounds == 3
    assert set(found.samples) == {"ours", "peer"}


def test_the_fastest_third_of_the_blocks_counts(play: Callable[..., core.Measured]) -> None:
    """Others may have begun with two threads on one core."""
    script = {"ours": [3e-3, 6e-3, 6.2e-3, 6e-3, 6.1e-3, 3.1e-3, 6e-3]}
    found = play(script, forever(0.0), Limits(rounds=6))
    assert found.samples["ours"] == Sample(pytest.approx(3.05e-3), 3e-3, pytest.approx(3.1e-3), 18)
    blocks = [[seconds] for seconds in (5.0, 1.0, 4.0, 2.0, 3.0)]
    assert fastest_third(blocks) == [blocks[1]]
    assert fastest_third(blocks[:1]) == blocks[:1]


def test_quartiles() -> None:
    blocks = [Block(0.0, 1.0, [1.0, 2.0, 3.0, 4.0, 5.0]), Block(0.0, 1.0, [6.0, 7.0])]
    assert sample_of(blocks) == Sample(3.0, 2.0, 4.0, 7)
    assert sample_of([Block(0.0, 1.0, [7.0])]) == Sample(7.0, 7.0, 7.0, 1)


def test_the_order_turns() -> None:
    assert [rotated(["a", "b", "c"], n) for n in (0, 1, 3)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["a", "b", "c"],
    ]


def test_two_fast_blocks_must_agree() -> None:
    def blocks(*medians: float) -> list[Block]:
        return [Block(0.0, 1.0, [median]) for median in medians]

    assert agreed(blocks(5.0, 1.0, 1.01, 9.0), 0.02)
    assert not agreed(blocks(5.0, 1.0, 1.03), 0.02)
    assert not agreed(blocks(1.0), 0.02)


def test_a_block_warms_up_unless_the_call_is_long() -> None:
    calls: list[int] = []
    taken = block(lambda: calls.append(1), seconds=0.0, least=2)
    assert (len(calls), len(taken)) == (3, 2)
    calls.clear()
    taken = block(lambda: calls.append(1), seconds=0.0, least=1, warm=0.0)
    assert (len(calls), len(taken)) == (1, 1)
