"""RowRuns: runs of model.onnx on the CPU, spread over the cores as their sizes suggest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.bound_rows import BoundRows, Spec
from rnnport.runtime.form_sessions import SMALL_FILE
from rnnport.runtime.layout import WHOLE, Layout, Spread, sizes_of
from rnnport.runtime.stream_plan import resolve
from rnnport.spec import Form

__all__ = ["RowRuns"]

Array = NDArray[Any]
Arrays = Mapping[str, Array]


class RowRuns:
    """Knows the sessions, and which suits a shape.

    Args:
        session: an onnxruntime.InferenceSession.
        open_single: opens the same graph for one thread, when first needed.
        form: the graph.
        spread: chooses.
    """

    def __init__(
        self, session: Any, open_single: Callable[[], Any], form: Form, spread: Spread
    ) -> None:
        self._session, self._open_single = session, open_single
        self._form, self._spread = form, spread
        self._singles: list[Any] = []
        # Steps of Scans in one session wait for one another in its arena at every operator.
        self._one_each = bool(form.step_weights.get("Scan")) and form.size <= SMALL_FILE
        self._lock = threading.Lock()

    def layout(self, inputs: Arrays) -> Layout:
        """How inputs of these shapes are run."""
        if self._spread.always_whole:
            return WHOLE
        return self._spread.layout(sizes_of(self._form.inputs, inputs))

    def sessions(self, layout: Layout) -> list[Any]:
        """One session for all parts of a layout, or one for each."""
        if not layout.one_thread:
            return [self._session]
        count = max(1, len(layout.parts)) if self._one_each else 1
        with self._lock:
            while len(self._singles) < count:
                self._singles.append(self._open_single())
            return self._singles[:count]

    def session_for(self, inputs: Arrays) -> Any:
        """The session for a run of the whole batch."""
        layout = self.layout(inputs)
        return self._session if layout.parts else self.sessions(layout)[0]

    def bind(
        self, inputs: Arrays, outputs: Mapping[str, Spec], layout: Layout | None = None
    ) -> BoundRows:
        """Bind a shape.

        Args:
            inputs: all of them, C-contiguous.
            outputs: dtype and shape by name.
            layout: in place of the one that suits the sizes.
        """
        layout = layout or self.layout(inputs)
        return _bound(self.sessions(layout), inputs, outputs, layout)

    def outputs(self, inputs: Arrays) -> dict[str, Spec] | None:
        """Dtypes and shapes of the outputs; None where they do not follow from the inputs'."""
        sizes, found = sizes_of(self._form.inputs, inputs), {}
        for port in self._form.outputs:
            shape = resolve(port.shape, sizes)
            if shape is None or 0 in shape:
                return None
            found[port.name] = (np.dtype(port.dtype), shape)
        return found

    def foresees(self, inputs: Arrays, outputs: Arrays) -> bool:
        """Whether a run gave what was foreseen."""
        seen = {name: (array.dtype, array.shape) for name, array in outputs.items()}
        return self.outputs(inputs) == seen

    def run(self, inputs: Arrays) -> dict[str, Array] | None:
        """Run the batch in parts.

        Returns:
            New arrays by output name; None where the batch is better run as a whole.

        Raises:
            Exception: what onnxruntime raises.
        """
        layout = self.layout(inputs)
        outputs = self.outputs(inputs) if layout.parts else None
        if outputs is None:
            return None
        bound = _bound(self.sessions(layout), inputs, outputs, layout)
        bound.go()
        return bound.outputs()


def _bound(
    sessions: list[Any], inputs: Arrays, outputs: Mapping[str, Spec], layout: Layout
) -> BoundRows:
    return BoundRows(sessions, inputs, outputs, layout.parts, together=layout.one_thread)
