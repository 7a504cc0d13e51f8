"""Sessions bound to the inputs and outputs of runs of one shape; parts run side by side."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.buffers import Binding
from rnnport.runtime.crew import run_together

__all__ = ["BoundRows", "Spec"]

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Spec = tuple[np.dtype[Any], tuple[int, ...]]


class BoundRows:
    """Reads inputs where they lie, writes into its own outputs.

    Args:
        sessions: onnxruntime.InferenceSessions of one graph on the CPU; parts take them in turn.
        inputs: of the shapes and dtypes of all runs, C-contiguous, by name.
        outputs: dtype and shape of each by name.
        parts: rows of each part, [start, stop); none for the whole batch.
        together: parts run side by side; else one after the other.
    """

    def __init__(
        self,
        sessions: Sequence[Any],
        inputs: Arrays,
        outputs: Mapping[str, Spec],
        parts: Sequence[tuple[int, int]] = (),
        *,
        together: bool = True,
    ) -> None:
        self._outputs = {name: np.empty(shape, dtype) for name, (dtype, shape) in outputs.items()}
        rows = [slice(*part) for part in parts] or [slice(None)]
        self._parts = [
            _Part(sessions[k % len(sessions)], inputs, self._outputs, part)
            for k, part in enumerate(rows)
        ]
        self._jobs: list[Callable[[], None]] = [part.go for part in self._parts]
        self._together = together and len(self._jobs) > 1
        self._unheld = self._holders()

    @property
    def free(self) -> bool:
        """Whether nobody outside holds an output, or a view of one."""
        return self._holders() == self._unheld

    def point(self, inputs: Arrays) -> None:
        """Read these from now on; the caller keeps them alive."""
        for part in self._parts:
            part.point(inputs)

    def go(self) -> None:
        """Run.

        Raises:
            Exception: what onnxruntime raises.
        """
        if self._together:
            run_together(self._jobs)
            return
        for job in self._jobs:
            job()

    def outputs(self) -> dict[str, Array]:
        """The arrays written, which the next run writes anew."""
        return dict(self._outputs)

    def _holders(self) -> list[int]:
        return [sys.getrefcount(array) for array in self._outputs.values()]


class _Part:
    """Rows of a batch.

    Attributes:
        go: runs the session on them.
    """

    def __init__(self, session: Any, inputs: Arrays, outputs: Arrays, rows: slice) -> None:
        shown = {name: array[rows] for name, array in inputs.items()}
        written: dict[str, Any] = {name: array[rows] for name, array in outputs.items()}
        binding = Binding(session, shown, written, sticky=True)
        self.go = binding.runner()
        start = rows.start or 0
        self._inputs = [
            (name, start * whole.strides[0], binding.pointer(name, own.dtype, own.shape))
            for (name, whole), own in zip(inputs.items(), shown.values(), strict=True)
        ]

    def point(self, inputs: Arrays) -> None:
        for name, offset, point in self._inputs:
            point(inputs[name].__array_interface__["data"][0] + offset)
