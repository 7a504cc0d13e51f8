"""Check what a stream is given once: fixed inputs, and values its states start from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from rnnport.errors import InputError, Reason
from rnnport.runtime.checks import check_inputs, describe
from rnnport.runtime.stream_checks import a_mapping, one_row, row_reasons
from rnnport.runtime.stream_plan import StreamPlan
from rnnport.spec import Port

__all__ = ["check_fixed", "check_fixed_row"]

Arrays = dict[str, NDArray[Any]]


def check_fixed(
    plan: StreamPlan, given: Mapping[str, Any] | None, rows: int, owner: str, *, required: bool
) -> Arrays:
    """Check fixed inputs and start values.

    Args:
        plan: the stream form's.
        given: input name to array-like, (B, F…) each.
        rows: the batch size there must be.
        owner: what has this batch size.
        required: whether every fixed input must be there; start values never need to.

    Raises:
        InputError: with everything that is wrong.
    """
    arrays, reasons = _fixed((*plan.fixed, *plan.starts), plan.fixed if required else (), given)
    reasons += row_reasons(arrays, rows, owner)
    if reasons:
        raise InputError(*reasons)
    return arrays


def check_fixed_row(
    plan: StreamPlan, given: Mapping[str, Any] | None, *, required: bool = True
) -> Arrays:
    """Check the fixed inputs and start values of one stream, without the batch axis.

    Raises:
        InputError: with everything that is wrong.
    """
    fixed = [one_row(port) for port in plan.fixed]
    ports = [*fixed, *map(one_row, plan.starts)]
    arrays, reasons = _fixed(ports, fixed if required else (), given)
    if reasons:
        raise InputError(*reasons)
    return arrays


def _fixed(
    ports: Sequence[Port], required: Sequence[Port], given: Mapping[str, Any] | None
) -> tuple[Arrays, list[Reason]]:
    """The fixed inputs given that fit, and what is wrong with the others."""
    given = {} if given is None else a_mapping("fixed", given, "pass fixed={name: array}")
    reasons = list(_fixed_name_reasons(ports, required, given))
    there = [port for port in ports if port.name in given]
    try:
        return check_inputs(there, {port.name: given[port.name] for port in there}), reasons
    except InputError as error:
        return {}, [*reasons, *error.reasons]


def _fixed_name_reasons(
    ports: Sequence[Port], required: Sequence[Port], given: Mapping[str, Any]
) -> Iterator[Reason]:
    for port in required:
        if port.name not in given:
            remedy = f"pass fixed={{{port.name!r}: …}}"
            yield Reason(f"fixed input {port.name!r}", "nothing", describe(port), remedy)
    names = [port.name for port in ports]
    expected = f"one of {', '.join(map(repr, names))}" if names else "none: this model has none"
    for name in given:
        if name not in names:
            yield Reason(f"fixed input {name!r}", "an unknown name", expected, "leave it out")
