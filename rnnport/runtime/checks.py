"""Check inputs against ports before onnxruntime sees them: it aborts the process on batch 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.errors import InputError, Reason
from rnnport.runtime.casts import Unfit, to_array, to_dtype
from rnnport.spec import FixedAxis, Port

__all__ = ["check_inputs", "describe", "name_reasons"]

Arrays = dict[str, NDArray[Any]]


def check_inputs(
    ports: Sequence[Port], given: Mapping[str, Any], fixed_axes: Sequence[FixedAxis] = ()
) -> Arrays:
    """Check every input, and cast where nothing is lost. NaN and infinity pass through.

    Args:
        ports: the form's inputs.
        given: input name to array or nested lists, any names, shapes and dtypes.
        fixed_axes: the manifest's, to say why a size is fixed.

    Returns:
        Port name to C-contiguous array of the port's dtype and rank, no axis of size 0, the same
        size wherever the same axis letter stands.

    Raises:
        InputError: with everything that is wrong.
    """
    reasons = list(name_reasons(ports, given))
    arrays: Arrays = {}
    for port in ports:
        if port.name in given:
            try:
                array = to_array(given[port.name])
                arrays[port.name] = array
                if not (found := list(_shape_reasons(port, array, fixed_axes))):
                    arrays[port.name] = to_dtype(array, np.dtype(port.dtype))
                reasons += found
            except Unfit as unfit:
                reasons.append(_reason(port, unfit.received, unfit.remedy))
    reasons += _letter_reasons(ports, arrays)
    if reasons:
        raise InputError(*reasons)
    return arrays


def describe(port: Port) -> str:
    """A port's dtype and shape, e.g. "float32 (B, T, 36)"."""
    axes = ", ".join(map(str, port.shape))
    return f"{port.dtype} ({axes}{',' if len(port.shape) == 1 else ''})"


def name_reasons(ports: Sequence[Port], given: Mapping[str, Any]) -> Iterator[Reason]:
    """Inputs that are missing, and names no input has."""
    names = [port.name for port in ports]
    for port in ports:
        if port.name not in given:
            yield _reason(port, "nothing", "pass it, by position or by name")
    for name in given:
        if name not in names:
            expected = f"inputs named {', '.join(map(repr, names))}"
            yield Reason(f"input {name!r}", "an unknown name", expected, "use one of these names")


def _shape_reasons(
    port: Port, array: NDArray[Any], fixed_axes: Sequence[FixedAxis]
) -> Iterator[Reason]:
    for remedy in _shape_remedies(port, array, fixed_axes):
        yield _reason(port, f"{array.dtype} {array.shape}", remedy)


def _shape_remedies(
    port: Port, array: NDArray[Any], fixed_axes: Sequence[FixedAxis]
) -> Iterator[str]:
    if array.ndim != len(port.shape):
        yield _rank_remedy(port, array)
        return
    if 0 in array.shape:
        axis = array.shape.index(0)
        yield f"leave it out: axis {axis} ({port.shape[axis]}) is empty"
        return
    for axis, (size, wanted) in enumerate(zip(array.shape, port.shape, strict=True)):
        if isinstance(wanted, int) and size != wanted:
            yield f"give axis {axis} size {wanted}{_why_fixed(port, axis, fixed_axes)}"


def _rank_remedy(port: Port, array: NDArray[Any]) -> str:
    missing = len(port.shape) - array.ndim
    if missing == 1 and _fits(array.shape, port.shape[1:]):
        steps = isinstance(port.shape[0], str) and port.shape[0] != "B"
        return f"add the {'time' if steps else 'batch'} axis: x[None]"
    if missing == 1 and port.shape[-1] == 1 and _fits(array.shape, port.shape[:-1]):
        return "add the feature axis: x[..., None]"
    if missing == -1 and array.shape[0] == 1 and _fits(array.shape[1:], port.shape):
        return "drop the first axis: x[0]"
    return f"pass an array of {len(port.shape)} axes"


def _fits(shape: Sequence[int], wanted: Sequence[int | str]) -> bool:
    return all(
        isinstance(want, str) or size == want for size, want in zip(shape, wanted, strict=True)
    )


def _why_fixed(port: Port, axis: int, fixed_axes: Sequence[FixedAxis]) -> str:
    for fixed in fixed_axes:
        if fixed.input == port.name and fixed.axis == axis:
            return f" (fixed by layer {fixed.layer!r}: {fixed.reason})"
    return ""


def _letter_reasons(ports: Sequence[Port], arrays: Arrays) -> Iterator[Reason]:
    """The same axis letter must have the same size everywhere."""
    first: dict[str, tuple[str, int, int]] = {}
    for port in ports:
        array = arrays.get(port.name)
        if array is None or array.ndim != len(port.shape):
            continue
        for axis, (size, letter) in enumerate(zip(array.shape, port.shape, strict=True)):
            if not isinstance(letter, str):
                continue
            other, other_axis, wanted = first.setdefault(letter, (port.name, axis, size))
            if size != wanted:
                yield Reason(
                    f"input {port.name!r}, axis {axis}",
                    f"size {size} in {array.dtype} {array.shape}",
                    f"size {wanted}, as axis {other_axis} of {other!r}: both are {letter}",
                    f"give both the same {letter}",
                )


def _reason(port: Port, received: str, remedy: str) -> Reason:
    return Reason(f"input {port.name!r}", received, describe(port), remedy)
