"""Runs of stream.onnx, in sessions shared by all who step alike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.buffers import Tensor, bind_session
from rnnport.runtime.form_sessions import FormSessions
from rnnport.runtime.session import run_refused
from rnnport.runtime.stream_plan import StreamPlan, resolve

__all__ = ["StreamSessions", "run_stream"]


class StreamSessions(FormSessions):
    """The sessions of one artifact's stream form.

    Args:
        path: stream.onnx.
        plan: what the manifest says about it.
        provider: a resolved provider.
        threads: as in FormSessions.
        spin: as in open_session.
    """

    def __init__(
        self,
        path: Path,
        plan: StreamPlan,
        provider: str,
        threads: int | None,
        spin: bool | None = None,
    ) -> None:
        self.plan = plan
        inputs = [*(p.name for p in (*plan.chunks, *plan.fixed)), *(s.input for s in plan.states)]
        outputs = [*(p.name for p in plan.outputs), *(s.output for s in plan.states)]
        super().__init__(path, inputs, outputs, provider, threads, spin)


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
    binding = bind_session(session, {**inputs, **reads}, {**outputs, **writes}, sticky=False)
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
