"""Sessions of stream.onnx: opened when first stepped, shared by all who step alike."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.errors import ArtifactDamaged
from rnnport.runtime.buffers import Binding, Tensor
from rnnport.runtime.session import open_session, run_refused
from rnnport.runtime.stream_plan import StreamPlan, resolve

__all__ = ["StreamSessions", "run_stream"]

# Below this batch size a second thread costs more than it brings: one LSTM step 64→128 takes
# 10 µs on one thread and up to 24 µs on two. The memory arena costs such a step another 1 µs.
_FEW_ROWS = 16


class StreamSessions:
    """The sessions of one artifact's stream form, by number of threads.

    Args:
        path: stream.onnx.
        plan: what the manifest says about it.
        provider: a resolved provider.
        threads: the user's choice; None takes one thread for few rows, else onnxruntime's choice.
    """

    def __init__(self, path: Path, plan: StreamPlan, provider: str, threads: int | None) -> None:
        self.plan = plan
        self.provider = provider
        self._path = path
        self._threads = threads
        self._open: dict[tuple[int | None, bool], Any] = {}
        self._lock = threading.Lock()

    def session(self, rows: int) -> Any:
        """The session for so many rows a run."""
        few = self.provider == "cpu" and rows < _FEW_ROWS
        threads = 1 if few and self._threads is None else self._threads
        key = threads, not few
        with self._lock:
            if key not in self._open:
                session = open_session(self._path, self.provider, threads, arena=not few)
                _check_names(session, self.plan, self._path)
                self._open[key] = session
            return self._open[key]


def run_stream(
    session: Any,
    plan: StreamPlan,
    sizes: Mapping[str, int],
    inputs: Mapping[str, NDArray[Any]],
    before: list[Tensor],
    after: list[Tensor],
) -> dict[str, NDArray[Any]]:
    """Run a stream form once, from one set of states into another.

    Args:
        session: of stream.onnx.
        plan: the stream form's.
        sizes: of the axes, {"B": rows} and "T" where the form has it.
        inputs: every input but the states, C-contiguous and checked.
        before: states as they are, in the order of plan.states.
        after: where the next states go; not the same memory.

    Returns:
        Output name to a new array.

    Raises:
        InputError: onnxruntime refused the values; what after holds has no meaning then.
    """
    outputs = {port.name: _empty(port.shape, port.dtype, sizes) for port in plan.outputs}
    reads = {state.input: tensor for state, tensor in zip(plan.states, before, strict=True)}
    writes = {state.output: tensor for state, tensor in zip(plan.states, after, strict=True)}
    binding = Binding(session, {**inputs, **reads}, {**outputs, **writes}, sticky=False)
    try:
        binding.run()
    except Exception as error:
        raise run_refused("stream.onnx", error) from error
    known = {name: array for name, array in outputs.items() if array is not None}
    return known if len(known) == len(outputs) else {**known, **binding.allocated()}


def _empty(shape: list[int | str], dtype: str, sizes: Mapping[str, int]) -> NDArray[Any] | None:
    """An array to be written, or None where the shape is not known beforehand."""
    known = resolve(shape, sizes)
    return None if known is None or 0 in known else np.empty(known, dtype)


def _check_names(session: Any, plan: StreamPlan, path: Path) -> None:
    """A graph that does not fit its manifest would be bound to the wrong memory."""
    inputs = [*(p.name for p in (*plan.chunks, *plan.fixed)), *(s.input for s in plan.states)]
    outputs = [*(p.name for p in plan.outputs), *(s.output for s in plan.states)]
    for side, wanted, found in (
        ("inputs", inputs, session.get_inputs()),
        ("outputs", outputs, session.get_outputs()),
    ):
        names = [value.name for value in found]
        if sorted(names) != sorted(wanted):
            expected = f"those of the manifest: {sorted(wanted)}"
            remedy = "export the model again"
            raise ArtifactDamaged.of(f"{path}, {side}", f"{sorted(names)}", expected, remedy)
