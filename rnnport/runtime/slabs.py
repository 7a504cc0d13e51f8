"""Slabs: one contiguous array for each state, a row for each stream; and working buffers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.stream_plan import sizes
from rnnport.spec import Port, State

__all__ = ["Slabs", "Workspace", "is_dense"]

Array = NDArray[Any]
Rows = NDArray[np.intp]
_FIRST_SIZE = 16


class Slabs:
    """Arrays (rows, …), one for each tensor, that grow by doubling.

    Args:
        tensors: states or fixed inputs.
    """

    def __init__(self, tensors: Sequence[State | Port]) -> None:
        self._tensors = tuple(tensors)
        self.arrays = self._empty(0)
        self._twin: list[Array] = []
        self._size = 0

    def grow(self, rows: int, limit: int) -> None:
        """Make room for so many rows, and for up to limit rows in the end."""
        if rows > self._size:
            self._resize(min(limit, max(rows, 2 * self._size, _FIRST_SIZE)), self._size)

    def trim(self, rows: int) -> None:
        """Give memory back; so many rows stay."""
        if rows < self._size:
            self._resize(rows, rows)

    def move(self, source: int, target: int) -> None:
        """Copy one row over another."""
        for array in self.arrays:
            array[target] = array[source]

    def read(self, row: int) -> list[Array]:
        """Copies of one row, (1, …) each."""
        return [array[row : row + 1].copy() for array in self.arrays]

    def write(self, rows: Rows | slice, values: Sequence[Array | int]) -> None:
        """Overwrite rows with values (K, …), one for each tensor."""
        for array, value in zip(self.arrays, values, strict=True):
            array[rows] = value

    def twin(self, rows: int) -> list[Array]:
        """Other memory for the first rows: for new values of them all, put in place by swap."""
        if self._tensors and not self._twin:
            self._twin = self._empty(self._size)
        return [array[:rows] for array in self._twin]

    def swap(self) -> None:
        """Let the twin take the place of the arrays, without a copy."""
        self.arrays, self._twin = self._twin, self.arrays

    def _resize(self, size: int, kept: int) -> None:
        self._twin = []
        grown = self._empty(size)
        for new, old in zip(grown, self.arrays, strict=True):
            new[:kept] = old[:kept]
        self.arrays, self._size = grown, size

    def _empty(self, size: int) -> list[Array]:
        return [np.zeros((size, *sizes(tensor)), tensor.dtype) for tensor in self._tensors]


class Workspace:
    """Buffers for the rows of one run, kept between runs and doubled when too small.

    Args:
        tensors: states or fixed inputs.
    """

    def __init__(self, tensors: Sequence[State | Port]) -> None:
        self._slabs = Slabs(tensors)

    def of(self, rows: int) -> list[Array]:
        """Arrays (rows, …) with whatever stands in them."""
        self._slabs.grow(rows, 2 * rows)
        return [array[:rows] for array in self._slabs.arrays]

    def gather(self, slabs: Slabs, rows: Rows) -> list[Array]:
        """Copies of some rows of slabs, in order."""
        gathered = self.of(len(rows))
        for slab, out in zip(slabs.arrays, gathered, strict=True):
            # Rows are known to exist; with mode "raise" NumPy would copy by way of a buffer.
            np.take(slab, rows, axis=0, out=out, mode="clip")
        return gathered


def is_dense(rows: Rows) -> bool:
    """Whether rows are 0, 1, 2… in order."""
    last = len(rows) - 1
    return bool(rows[0] == 0 and rows[last] == last and (rows[1:] > rows[:-1]).all())
