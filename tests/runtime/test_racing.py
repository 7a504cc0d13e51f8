"""Which blocks of a race count; nothing is measured."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rnnport.runtime import neighbours, racing
from tests.guests import scripted


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of the blocks to come, 1 after these; as many are left as were not run."""
    seconds: list[float] = []

    def block(call: object, most: float) -> float:
        return seconds.pop(0) if seconds else 1.0

    monkeypatch.setattr(racing, "_block", block)
    monkeypatch.setattr(neighbours, "until_idle", lambda most: True)
    monkeypatch.setattr(racing, "_PATIENCE", 0.0)
    return seconds


def slowed(*blocks: tuple[float, float]) -> Iterator[float]:
    """Slowdowns before and after each block."""
    return (each for block in blocks for each in block)


@pytest.mark.parametrize("guest", [(1.9, 1.0), (1.0, 1.9)], ids=["before", "after"])
def test_blocks_that_guests_slowed_down_are_run_again(
    blocks: list[float], guest: tuple[float, float]
) -> None:
    blocks[:] = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 7.0]
    guests = scripted(slowed(guest, guest, guest))
    assert racing.race({"a": lambda: None}, 1.0, guests) == {"a": 2.0}
    assert blocks == [7.0]


def test_where_guests_never_leave_all_blocks_count(blocks: list[float]) -> None:
    blocks[:] = [3.0] * 10 + [7.0]
    guests = scripted([1.9] * 1000)
    assert racing.race({"a": lambda: None}, 1.0, guests) == {"a": 3.0}
    assert blocks == [7.0]


def test_the_second_fastest_block_counts(blocks: list[float]) -> None:
    """Others may have begun with two threads on one core."""
    blocks[:] = [6.2, 3.1, 3.2, 6.3, 6.4]
    assert racing.race({"a": lambda: None}, 1.0, scripted()) == {"a": 3.2}


def test_whoever_was_disturbed_goes_on_alone(blocks: list[float]) -> None:
    """The others have had their rounds."""
    made: list[str] = []
    calls = {name: lambda name=name: made.append(name) for name in "ab"}  # type: ignore[misc]
    calm = (1.0, 1.0)
    guests = scripted(slowed(calm, (1.0, 1.9)))
    blocks[:] = [4.0, 9.0, 5.0, 4.0, 4.0, 5.0, 5.0, 4.0, 4.0, 5.0, 5.0, 7.0]
    assert racing.race(calls, 1.0, guests) == {"a": 4.0, "b": 5.0}
    assert blocks == [7.0]
