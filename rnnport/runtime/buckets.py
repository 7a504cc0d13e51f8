"""Rows of unequal length in batches that hold little padding. Axis letters as in spec.py."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.samples import filler, mask_mark, stepped_letters
from rnnport.spec import Port

__all__ = ["Lengths", "buckets", "lengths_of", "stack_rows"]

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Lengths:
    """How long a row is.

    Attributes:
        padded: sizes that may differ within a batch, in the order of their letters.
        equal: sizes that may not.
    """

    padded: tuple[int, ...]
    equal: tuple[int, ...]


def lengths_of(ports: Sequence[Port], row: Arrays, pads: Collection[str]) -> Lengths:
    """The lengths of a row.

    Args:
        ports: of the form's inputs, (B, …) each.
        row: input name to array without the batch axis.
        pads: the form's. A row that is masked altogether is never padded all the same: what an
            attention finds in it may depend on how many steps there are.
    """
    sizes = {
        axis: size
        for port in ports
        for axis, size in zip(port.shape[1:], row[port.name].shape, strict=True)
        if isinstance(axis, str)
    }
    letters = [] if _is_masked(ports, row) else sorted(stepped_letters(ports) & set(pads))
    return Lengths(
        tuple(sizes[letter] for letter in letters),
        tuple(size for letter, size in sizes.items() if letter not in letters),
    )


def buckets(
    lengths: Sequence[Lengths], *, max_batch: int, waste: float
) -> Iterator[NDArray[np.intp]]:
    """Numbers of the rows of each batch, the longest first.

    Args:
        lengths: of every row.
        max_batch: the most rows of a batch.
        waste: the largest share of a batch's steps that may be padding.
    """
    groups: dict[tuple[int, tuple[int, ...]], list[int]] = {}
    for number, row in enumerate(lengths):
        groups.setdefault((len(row.padded), row.equal), []).append(number)
    for group in groups.values():
        yield from _split(group, lengths, max_batch, waste)


def stack_rows(ports: Sequence[Port], rows: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    """Rows in one array (B, …) an input, short ones padded on the right."""
    return {port.name: _stack(port, [row[port.name] for row in rows]) for port in ports}


def _split(
    group: Sequence[int], lengths: Sequence[Lengths], max_batch: int, waste: float
) -> Iterator[NDArray[np.intp]]:
    order = sorted(group, key=lambda number: lengths[number].padded, reverse=True)
    batch: list[int] = []
    longest: tuple[int, ...] = ()
    real = 0
    for number in order:
        sizes = lengths[number].padded
        grown = tuple(map(max, longest, sizes)) if batch else sizes
        whole = sum(grown) * (len(batch) + 1)
        if batch and (len(batch) == max_batch or whole - real - sum(sizes) > waste * whole):
            yield np.array(batch, np.intp)
            batch, grown, real = [], sizes, 0
        batch.append(number)
        longest, real = grown, real + sum(sizes)
    yield np.array(batch, np.intp)


def _is_masked(ports: Sequence[Port], row: Arrays) -> bool:
    """Whether some input leaves the model no step to look at."""
    return any(
        bool((row[port.name] == mark).all())
        for port in ports
        if (mark := False if port.dtype == "bool" else mask_mark(port)) is not None
    )


def _stack(port: Port, rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
    longest = max(rows, key=len).shape if rows[0].ndim else ()
    if all(row.shape == longest for row in rows):
        return np.stack(rows)
    stacked = np.full((len(rows), *longest), filler(port), port.dtype)
    for i, row in enumerate(rows):
        stacked[i, : len(row)] = row
    return stacked
