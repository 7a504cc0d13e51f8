"""QuickRun: a run of a shape that was just run, checked and bound beforehand."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.bound_rows import BoundRows
from rnnport.runtime.row_runs import RowRuns

__all__ = ["QuickRun"]

Array = NDArray[Any]
Arrays = Mapping[str, Array]

# Bytes above which a bound array is pointed to instead of copied from, or given out and replaced
# instead of copied, …
_SMALL_INPUT, _SMALL_OUTPUT = 1 << 14, 1 << 15
# … and of outputs above which no memory is kept for the next run. Below it onnxruntime's own arena
# keeps as much or more for its products.
_LARGE = 1 << 27
# One is the caller's while the next is written.
_SETS = 2


class QuickRun:
    """For one input of one shape. Large outputs that nobody holds any more are written again.

    Args:
        runs: binds, as the shape is best run.
        inputs: the one input by name; its shape and dtype are those taken.
        outputs: what a run gave for it, by name.
    """

    def __init__(self, runs: RowRuns, inputs: Arrays, outputs: Arrays) -> None:
        self._runs = runs
        ((self._name, x),) = inputs.items()
        self._x = np.empty_like(x)
        self._copies_in = x.nbytes <= _SMALL_INPUT
        self._copies_out = sum(array.nbytes for array in outputs.values()) <= _SMALL_OUTPUT
        self._outputs = {name: (y.dtype, y.shape) for name, y in outputs.items()}
        self._sets: list[BoundRows] = []
        self._lock = threading.Lock()

    @classmethod
    def of(cls, runs: RowRuns, inputs: Arrays, outputs: Arrays) -> QuickRun | None:
        """Bind a shape that ran.

        Returns:
            None where it is no use: several inputs, huge outputs, outputs whose shape does not
            follow from the input's.
        """
        if len(inputs) != 1 or not runs.foresees(inputs, outputs):
            return None
        if sum(array.nbytes for array in outputs.values()) > _LARGE:
            return None
        return cls(runs, inputs, outputs)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the input that is taken."""
        return self._x.shape

    def run(self, x: object) -> dict[str, Array] | None:
        """Run on an array of this shape and dtype.

        Returns:
            Output name to an array that is the caller's; None for anything else, and while another
            thread is here.
        """
        # A subclass, a masked array say, may mean something else.
        if type(x) is not np.ndarray or x.shape != self._x.shape or x.dtype != self._x.dtype:
            return None
        if not self._lock.acquire(blocking=False):
            return None
        try:
            bound = self._free()
            if self._copies_in or not x.flags.c_contiguous:
                self._x[...] = x
                x = self._x
            if not self._copies_in:
                bound.point({self._name: x})
            bound.go()
            outputs = bound.outputs()
            if self._copies_out:
                return {name: array.copy() for name, array in outputs.items()}
            return outputs
        finally:
            self._lock.release()

    def _free(self) -> BoundRows:
        """A set whose outputs may be written: a known one, or a new one in place of the oldest."""
        if self._copies_out and self._sets:
            return self._sets[0]
        for known in self._sets:
            if known.free:
                return known
        made = self._runs.bind({self._name: self._x}, self._outputs)
        self._sets = [*self._sets, made][-_SETS:]
        return made
