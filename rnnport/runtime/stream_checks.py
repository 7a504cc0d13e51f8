"""Check what a stream is given: steps and chunks, fixed inputs, states, rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rnnport.errors import InputError, Reason, UsageError
from rnnport.runtime.checks import check_inputs
from rnnport.runtime.stream_plan import StreamPlan, resolve
from rnnport.spec import Port

__all__ = [
    "ExactRow",
    "a_mapping",
    "check_chunks",
    "check_count",
    "check_row",
    "check_rows",
    "check_states",
    "check_steps",
    "check_wait",
    "exact_row",
    "one_row",
    "row_reasons",
]

Arrays = dict[str, NDArray[Any]]


def check_count(subject: str, value: Any) -> None:
    """Refuse a batch size or capacity that is no positive integer.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        remedy = "pass a positive int"
        raise UsageError.of(subject, repr(value), "a whole number from 1 up", remedy)


def check_wait(value: Any) -> None:
    """Refuse a time to wait that is no number of seconds.

    Raises:
        UsageError: it is none.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf:
        remedy = "pass 0.002 for two milliseconds"
        raise UsageError.of("max_wait", repr(value), "seconds, 0 or more", remedy)


def check_steps(
    plan: StreamPlan, ports: Sequence[Port], given: Mapping[str, Any], rows: int, owner: str
) -> Arrays:
    """Check the inputs of a call.

    Args:
        plan: the stream form's.
        ports: plan.chunks, or plan.steps.
        given: input name to array-like, (B, …) each.
        rows: the batch size there must be.
        owner: what has this batch size: "stepper" or "ids".

    Returns:
        Port name to C-contiguous array of the port's dtype.

    Raises:
        InputError: with everything that is wrong.
    """
    _refuse_fixed(plan, given)
    arrays = check_inputs(ports, given)
    if reasons := list(row_reasons(arrays, rows, owner)):
        raise InputError(*reasons)
    return arrays


def check_row(plan: StreamPlan, ports: Sequence[Port], given: Mapping[str, Any]) -> Arrays:
    """Check the inputs of one stream, without the batch axis: (F…) for plan.steps.

    Raises:
        InputError: with everything that is wrong.
    """
    _refuse_fixed(plan, given)
    return check_inputs([one_row(port) for port in ports], given)


@dataclass(frozen=True)
class ExactRow:
    """The only input of a step, without the batch axis: what needs neither check nor cast."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def fits(self, x: Any) -> bool:
        """Whether x is such an array."""
        return type(x) is np.ndarray and x.shape == self.shape and x.dtype == self.dtype


def exact_row(plan: StreamPlan) -> ExactRow | None:
    """What one stream is stepped with; None for several inputs or sizes that vary."""
    port = plan.steps[0]
    shape = resolve(port.shape[1:], {})
    if len(plan.steps) > 1 or shape is None:
        return None
    return ExactRow(port.name, shape, np.dtype(port.dtype))


def check_chunks(plan: StreamPlan, given: Mapping[str, Any], streams: int) -> list[Arrays]:
    """Check chunks of unequal length.

    Args:
        plan: the stream form's.
        given: input name to a list of array-likes (t, F…), one for each stream.
        streams: how many streams there are.

    Returns:
        For each stream, port name to C-contiguous array (t, F…).

    Raises:
        InputError: with everything that is wrong, naming the chunk.
    """
    _refuse_fixed(plan, given)
    if reasons := list(_list_reasons(given, streams)):
        raise InputError(*reasons)
    arrays = []
    for stream in range(streams):
        try:
            row = {name: chunks[stream] for name, chunks in given.items()}
            arrays.append(check_row(plan, plan.pieces, row))
        except InputError as error:
            reasons += [
                Reason(f"chunk {stream}, {r.subject}", r.received, r.expected, r.remedy)
                for r in error.reasons
            ]
    if reasons:
        raise InputError(*reasons)
    return arrays


def check_states(plan: StreamPlan, given: Mapping[str, Any], rows: int) -> list[NDArray[Any]]:
    """Check a whole set of states: every name, exact shapes and dtypes.

    Returns:
        Arrays in the order of plan.states.

    Raises:
        InputError: with everything that is wrong.
    """
    given = a_mapping("states", given, "pass what .state gave")
    names = [state.name for state in plan.states]
    reasons = [
        Reason(f"state {name!r}", "an unknown name", f"states named {names}", "leave it out")
        for name in given
        if name not in names
    ]
    arrays = []
    for state in plan.states:
        shape = resolve(state.shape, {"B": rows})
        expected = f"{state.dtype} {shape}"
        if state.name not in given:
            reasons.append(Reason(f"state {state.name!r}", "nothing", expected, "pass every state"))
            continue
        array = np.asarray(given[state.name])
        arrays.append(array)
        if (array.dtype, array.shape) != (np.dtype(state.dtype), shape):
            received = f"{array.dtype} {array.shape}"
            reasons.append(
                Reason(f"state {state.name!r}", received, expected, "pass what .state gave")
            )
    if reasons:
        raise InputError(*reasons)
    return arrays


def check_rows(rows: Any, batch: int) -> NDArray[np.intp]:
    """Turn rows (None for all, an index, a list of them, or a mask) into row numbers.

    Raises:
        InputError: no such rows.
    """
    if rows is None:
        return np.arange(batch)
    try:
        array = np.atleast_1d(np.asarray(rows))
        if array.ndim == 1 and array.dtype.kind in "biu" and type(rows) is not bool:
            return np.atleast_1d(np.arange(batch)[array])
        if array.shape == (0,):
            return np.arange(0)
        received = f"{array.dtype} {array.shape}"
    except (IndexError, ValueError) as error:
        received = f"{rows!r}: {error}"
    expected = f"row numbers below {batch}, or a mask of {batch} booleans"
    raise InputError.of("rows", received, expected, "pass None for all rows")


def a_mapping(subject: str, value: Any, remedy: str) -> Mapping[str, Any]:
    """Refuse anything but a dict."""
    if not isinstance(value, Mapping):
        raise InputError.of(subject, type(value).__name__, "a dict from names", remedy)
    return value


def _refuse_fixed(plan: StreamPlan, given: Mapping[str, Any]) -> None:
    """A name that is known, but given once for the whole stream."""
    reasons = [
        Reason(
            f"input {port.name!r}",
            "given with a step",
            "once for the whole stream",
            f"pass fixed={{{port.name!r}: …}} where the stream is made or reset",
        )
        for port in (*plan.fixed, *plan.starts)
        if port.name in given
    ]
    if reasons:
        raise InputError(*reasons)


def one_row(port: Port) -> Port:
    """A port without its batch axis."""
    return msgspec.structs.replace(port, shape=port.shape[1:])


def _list_reasons(given: Mapping[str, Any], streams: int) -> Iterator[Reason]:
    for name, chunks in given.items():
        received = type(chunks).__name__
        if not isinstance(chunks, (list, tuple, np.ndarray)):
            remedy = "pass a list of arrays"
        elif len(chunks) != streams:
            received, remedy = f"{len(chunks)} chunks", "pass as many chunks as ids"
        else:
            continue
        yield Reason(f"input {name!r}", received, f"{streams} chunks, one for each id", remedy)


def row_reasons(arrays: Arrays, rows: int, owner: str) -> Iterator[Reason]:
    """Arrays (B, …) with another B than rows; owner says what has that many."""
    for name, array in arrays.items():
        if array.shape[0] != rows:
            yield Reason(
                f"input {name!r}, axis 0",
                f"size {array.shape[0]} in {array.dtype} {array.shape}",
                f"size {rows}, one row for each of the {owner}",
                _ROW_REMEDIES.get(owner, "pass as many rows"),
            )


_ROW_REMEDIES = {
    "stepper's rows": "make another stepper for another batch size; nothing was reset in this one"
}
