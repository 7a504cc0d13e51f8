from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnport.runtime.buckets import Lengths, buckets, lengths_of, stack_rows
from rnnport.spec import Port, Sampling

X = Port(name="x", dtype="float32", shape=["B", "T", 2], sampling=Sampling(mask_value=-1.0))
IDS = Port(name="ids", dtype="int32", shape=["B", "T2"], sampling=Sampling(kind="ids"))
MASK = Port(name="m", dtype="bool", shape=["B", "T"], sampling=Sampling(kind="bool"))
SPEAKER = Port(name="s", dtype="float32", shape=["B", 3], sampling=Sampling())

rows = st.lists(
    st.builds(
        Lengths,
        padded=st.tuples(st.integers(1, 300), st.integers(1, 40)),
        equal=st.tuples(st.integers(1, 2)),
    ),
    max_size=80,
)


@given(rows, st.integers(1, 20), st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9]))
def test_every_row_once_in_batches_that_are_small_alike_and_full(
    lengths: list[Lengths], max_batch: int, waste: float
) -> None:
    found = list(buckets(lengths, max_batch=max_batch, waste=waste))
    assert sorted(i for index in found for i in index) == list(range(len(lengths)))
    for index in found:
        assert 1 <= len(index) <= max_batch
        assert len({lengths[i].equal for i in index}) == 1
        padded = np.array([lengths[i].padded for i in index])
        whole = padded.max(0).sum() * len(index)
        assert whole - padded.sum() <= waste * whole


@pytest.mark.parametrize(
    ("waste", "expected"),
    [(0.0, [[1], [0, 4], [3], [2]]), (0.2, [[1, 0, 4], [3], [2]]), (0.3, [[1, 0, 4, 3], [2]])],
)
def test_the_longest_first_and_as_many_as_waste_allows(
    waste: float, expected: list[list[int]]
) -> None:
    lengths = [Lengths((n,), ()) for n in (8, 10, 1, 4, 8)]
    found = buckets(lengths, max_batch=9, waste=waste)
    assert [index.tolist() for index in found] == expected


def test_lengths_by_letter() -> None:
    ports = [X, IDS, SPEAKER]
    row = {"x": np.zeros((5, 2)), "ids": np.zeros(7), "s": np.zeros(3)}
    assert lengths_of(ports, row, []) == Lengths((), (5, 7))
    assert lengths_of(ports, row, ["T2"]) == Lengths((7,), (5,))
    assert lengths_of(ports, row, ["T2", "T"]) == Lengths((5, 7), ())
    # A letter that no input has steps in, as a manifest written elsewhere may name.
    assert lengths_of(ports, row, ["B"]) == Lengths((), (5, 7))


def test_a_row_that_is_all_masked_is_not_padded() -> None:
    blank = {"x": np.full((5, 2), -1.0)}
    assert lengths_of([X], blank, ["T"]) == Lengths((), (5,))
    blank["x"][2, 1] = 0
    assert lengths_of([X], blank, ["T"]) == Lengths((5,), ())
    mask = {"m": np.zeros(3, bool)}
    assert lengths_of([MASK], mask, ["T"]) == Lengths((), (3,))
    assert lengths_of([MASK], {"m": np.array([False, True])}, ["T"]) == Lengths((2,), ())


def test_stacks_are_padded_with_what_masks() -> None:
    row = {
        "x": np.ones((1, 2), np.float32),
        "ids": np.array([5, 6], np.int32),
        "m": np.array([True]),
        "s": np.arange(3, dtype=np.float32),
    }
    longer = {**row, "x": np.ones((2, 2), np.float32), "m": np.array([True, True])}
    longer["ids"] = np.array([7, 8, 9], np.int32)
    made = stack_rows([X, IDS, MASK, SPEAKER], [row, longer])
    assert made["x"].tolist() == [[[1, 1], [-1, -1]], [[1, 1], [1, 1]]]
    assert made["ids"].tolist() == [[5, 6, 0], [7, 8, 9]]
    assert made["m"].tolist() == [[True, False], [True, True]]
    assert made["s"].tolist() == [[0, 1, 2], [0, 1, 2]]
    assert [array.dtype.name for array in made.values()] == ["float32", "int32", "bool", "float32"]
