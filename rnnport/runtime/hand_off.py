"""HandOff: what a decoder starts from, made by an encoder or by a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.decode_plan import DecodePlan
from rnnport.runtime.form_sessions import FormSessions
from rnnport.runtime.session import run_refused
from rnnport.runtime.stream_plan import sizes

__all__ = ["HandOff", "encode", "prefill"]

Array = NDArray[Any]
Arrays = dict[str, Array]
Index = NDArray[np.intp]

# A long prompt is read in pieces: its outputs, (B, P, V) each, are not wanted but for the last.
_PIECE = 256


@dataclass(frozen=True)
class HandOff:
    """Where the rows of a decoder begin.

    Attributes:
        sources: which source each row is, (R,).
        states: (R, …) each, in the order of the plan's.
        context: (R, …) each, by input name.
        output: (R, V), what the decoder gave at a prompt's last step; None after an encoder.
    """

    sources: Index
    states: list[Array]
    context: Arrays
    output: Array | None = None

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def sizes(self) -> tuple[tuple[int, ...], ...]:
        """Sizes of the context behind the batch; rows with like ones can be decoded together."""
        return tuple(array.shape[1:] for array in self.context.values())

    @classmethod
    def join(cls, parts: Sequence[HandOff]) -> list[HandOff]:
        """As few as can be: parts of like sizes become one."""
        groups: dict[tuple[tuple[int, ...], ...], list[HandOff]] = {}
        for part in parts:
            groups.setdefault(part.sizes, []).append(part)
        return [group[0] if len(group) == 1 else _joined(group) for group in groups.values()]


def encode(plan: DecodePlan, sessions: FormSessions, sources: Index, arrays: Arrays) -> HandOff:
    """Run the encoder on sources (B, S, …) by input name."""
    rows = len(sources)
    starts = [state.start for state in plan.states if state.start]
    names = list(dict.fromkeys([*starts, *(port.name for port in plan.context)]))
    outputs = _run(sessions.session_for(arrays), "encoder", names, arrays)
    given = dict(zip(names, outputs, strict=True))
    states = [
        given[s.start] if s.start else np.zeros((rows, *sizes(s)), s.dtype) for s in plan.states
    ]
    return HandOff(sources, states, {port.name: given[port.name] for port in plan.context})


def prefill(
    plan: DecodePlan, sessions: FormSessions, sources: Index, prompt: Array, context: Arrays
) -> HandOff:
    """Run the decoder over a prompt, (B, P) ids or (B, P, F) floats of the step's dtype."""
    rows, states = len(sources), [np.zeros((len(sources), *sizes(s)), s.dtype) for s in plan.states]
    session = sessions.session(rows)
    names = [plan.output.name, *(state.output for state in plan.states)]
    reads = [state.input for state in plan.states]
    output = np.zeros(0)
    piece = _PIECE if plan.time else 1
    for start in range(0, prompt.shape[1], piece):
        part = np.ascontiguousarray(prompt[:, start : start + piece])
        part = part if plan.time else part.reshape(rows, *sizes(plan.step))
        feeds = {plan.step.name: part, **context, **dict(zip(reads, states, strict=True))}
        output, *states = _run(session, plan.name, names, feeds)
    last = output.reshape(rows, -1, plan.vocabulary)[:, -1]
    return HandOff(sources, states, context, np.ascontiguousarray(last))


def _run(session: Any, form: str, names: list[str], feeds: Arrays) -> list[Array]:
    try:
        outputs: list[Array] = session.run(names, feeds)
    except Exception as error:
        raise run_refused(f"{form}.onnx", error) from error
    return outputs


def _joined(parts: Sequence[HandOff]) -> HandOff:
    outputs = [part.output for part in parts if part.output is not None]
    return HandOff(
        np.concatenate([part.sources for part in parts]),
        [np.concatenate(column) for column in zip(*(p.states for p in parts), strict=True)],
        {name: np.concatenate([p.context[name] for p in parts]) for name in parts[0].context},
        np.concatenate(outputs) if outputs else None,
    )
