from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnport.errors import StreamError
from rnnport.runtime.stream_table import StreamTable, as_ids


def opened(count: int) -> tuple[StreamTable, list[int]]:
    table = StreamTable()
    return table, [table.open() for _ in range(count)]


def message(table: StreamTable, ids: list[int]) -> str:
    with pytest.raises(StreamError) as caught:
        table.rows(as_ids(ids))
    return str(caught.value)


def test_ids_are_plain_ints_and_all_different() -> None:
    table, ids = opened(100)
    assert {type(i) for i in ids} == {int}
    assert len(set(ids)) == len(table) == 100
    assert table.ids() == ids
    assert table.rows(as_ids(ids[::-1])).tolist() == list(range(100))[::-1]


def test_rows_stay_dense_and_slots_are_used_again() -> None:
    table, ids = opened(4)
    assert table.close(ids[1]) == (1, 3)
    assert table.close(ids[2]) == (2, 2)
    assert table.rows(as_ids([ids[0], ids[3]])).tolist() == [0, 1]
    again = table.open()
    assert again not in ids
    assert table.rows(as_ids([again])).tolist() == [2]
    assert ids[1] not in table
    assert again in table


def test_a_million_streams_one_after_another_need_one_slot() -> None:
    table = StreamTable()
    for _ in range(2000):
        table.close(table.open())
    assert table._used == 1
    assert len(table) == 0


def test_unknown_and_closed_ids_are_told_apart() -> None:
    table, ids = opened(3)
    table.close(ids[1])
    table.open()
    remedy = (
        "expected: an open stream | remedy: pass ids that open() or restore() of this pool gave "
        "and that are not closed"
    )
    assert message(table, [ids[0], ids[1], 5]) == (
        f"stream {ids[1]} | received: closed | {remedy}\nstream 5 | received: unknown | {remedy}"
    )
    for stream in (-1, 0, 1 << 40, (1 << 63) - 1):
        assert "received: unknown" in message(table, [stream])
        assert stream not in table
    assert "received: unknown" in message(StreamTable(), [1 << 24])
    with pytest.raises(StreamError, match="received: closed"):
        table.close(ids[1])


def test_the_same_id_twice() -> None:
    table, ids = opened(3)
    assert message(table, [ids[0], ids[2], ids[0], ids[0]]) == (
        f"stream {ids[0]} | received: given twice | expected: once | "
        "remedy: step a stream once in a call, or feed it a chunk"
    )


def test_many_wrong_ids_make_a_short_message() -> None:
    lines = message(opened(1)[0], list(range(1000))).splitlines()
    assert len(lines) == 6
    assert lines[-1].startswith("other streams | received: 995 more like these")


@pytest.mark.parametrize("ids", [[], 7, [1.5], [[1]], ["a"], None, [True], [1 << 70]])
def test_ids_that_are_none(ids: Any) -> None:
    with pytest.raises(StreamError, match=r"^ids \| .*expected: a list of at least one id"):
        as_ids(ids)


def test_what_is_no_id_is_not_open() -> None:
    table, ids = opened(1)
    assert np.int64(ids[0]) in table
    for other in (None, "a", 1.5, True):
        assert other not in table
