"""QuickRun: a run of a shape that was just run, checked and bound beforehand."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.buffers import bind_session
from rnnport.runtime.stream_plan import resolve
from rnnport.spec import Form

__all__ = ["QuickRun"]

Array = NDArray[Any]
Arrays = Mapping[str, Array]

# Bytes of inputs and outputs above which copying them costs more than binding saves.
_SMALL = 1 << 18


class QuickRun:
    """Copy in, run, copy out, for one input of one shape.

    Args:
        session: an onnxruntime.InferenceSession on the CPU.
        inputs: the one input by name; its shape and dtype are those taken.
        outputs: what the session gave for it, by name.
    """

    def __init__(self, session: Any, inputs: Arrays, outputs: Arrays) -> None:
        buffers = {name: np.empty_like(array) for name, array in inputs.items()}
        self._outputs = {name: np.empty_like(array) for name, array in outputs.items()}
        (self._x,) = buffers.values()
        self._go = bind_session(session, buffers, self._outputs, sticky=True).runner()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, session: Any, form: Form, inputs: Arrays, outputs: Arrays) -> QuickRun | None:
        """Bind a shape that ran.

        Returns:
            None where it is no use: several inputs, large arrays, outputs whose shape does not
            follow from the input's.
        """
        if len(inputs) != 1:
            return None
        if sum(array.nbytes for array in (*inputs.values(), *outputs.values())) > _SMALL:
            return None
        (port,) = form.inputs
        shape = inputs[port.name].shape
        sizes = {a: n for a, n in zip(port.shape, shape, strict=True) if isinstance(a, str)}
        known = all(resolve(p.shape, sizes) == outputs[p.name].shape for p in form.outputs)
        return (
            cls(session, inputs, outputs)
            if known and all(y.size for y in outputs.values())
            else None
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the input that is taken."""
        return self._x.shape

    def run(self, x: object) -> dict[str, Array] | None:
        """Run on an array of this shape and dtype.

        Returns:
            Output name to a new array; None for anything else, and while another thread is here.
        """
        # A subclass, a masked array say, may mean something else.
        if type(x) is not np.ndarray or x.shape != self._x.shape or x.dtype != self._x.dtype:
            return None
        if not self._lock.acquire(blocking=False):
            return None
        try:
            self._x[...] = x
            self._go()
            return {name: array.copy() for name, array in self._outputs.items()}
        finally:
            self._lock.release()
