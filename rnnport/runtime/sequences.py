"""Sequences of unequal length: what is given to run_many, and each one's part of what comes back.

Axis letters: B batch, T time, F features.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rnnport.errors import InputError, Reason, UsageError
from rnnport.runtime.checks import check_inputs, describe
from rnnport.runtime.stream_checks import one_row
from rnnport.runtime.structure import bind
from rnnport.spec import FixedAxis, Form, Manifest, Port

__all__ = ["check_waste", "cut_row", "most_rows", "read_sequences"]

Arrays = dict[str, NDArray[Any]]

# Of bad sequences only so many reasons are listed.
_SHOWN = 8


def check_waste(waste: object) -> None:
    """Refuse a share of padding that is none.

    Raises:
        UsageError: waste is no number from 0 up, below 1.
    """
    number = isinstance(waste, (int, float)) and type(waste) is not bool
    if not (number and 0 <= float(waste) < 1):  # type: ignore[arg-type]
        remedy = "pass 0 to pad nothing, 0.5 to let half of a batch be padding"
        raise UsageError.of("waste", repr(waste), "a number from 0 up, below 1", remedy)


def most_rows(manifest: Manifest, form: Form, max_batch: int) -> int:
    """How many sequences may share a run: 1 where rows of a batch are not independent.

    Raises:
        InputError: the model takes only batches of another size; says which layer is to blame.
    """
    if reasons := [_one_batch(p, manifest.fixed_axes) for p in form.inputs if not _single(p)]:
        raise InputError(*reasons)
    rows = all(_has_rows(form, port) for port in form.outputs)
    any_batch = all(port.shape[0] == "B" for port in form.inputs)
    return max_batch if rows and any_batch and not manifest.mixes_rows else 1


def read_sequences(manifest: Manifest, form: Form, sequences: Any) -> list[Arrays]:
    """Check sequences.

    Args:
        manifest: of the artifact.
        form: the whole form.
        sequences: a list with an entry a sequence: an array (T, F…), or what the model takes for
            several inputs, without the batch axis.

    Returns:
        Input name to array (T, F…), for each sequence.

    Raises:
        InputError: names every sequence that does not fit, up to eight reasons.
    """
    if isinstance(sequences, (Mapping, str, bytes)) or not isinstance(sequences, Iterable):
        received = f"a {type(sequences).__name__}"
        remedy = "pass [sequence, …]; of several inputs a list of tuples or dicts"
        raise InputError.of("sequences", received, "a list with one entry a sequence", remedy)
    alone = [one_row(port) for port in form.inputs]
    fixed = [msgspec.structs.replace(f, axis=f.axis - 1) for f in manifest.fixed_axes if f.axis]
    rows: list[Arrays] = []
    reasons: list[Reason] = []
    bad = 0
    for number, sequence in enumerate(sequences):
        if len(alone) == 1 and _is_ready(alone[0], sequence):
            rows.append({alone[0].name: sequence})
            continue
        try:
            rows.append(check_inputs(alone, _bound(alone, manifest, sequence), fixed))
        except InputError as error:
            bad += 1
            reasons += _told(number, error.reasons)
    if reasons:
        raise InputError(*_shortened(reasons, bad))
    return rows


def cut_row(form: Form, outputs: Mapping[str, NDArray[Any]], place: int, row: Arrays) -> Arrays:
    """What a batch gave for one of its rows, cut to the row's own length.

    Args:
        form: the whole form.
        outputs: of the batch, output name to array.
        place: of the row in the batch.
        row: its inputs.
    """
    sizes = {
        axis: size
        for port in form.inputs
        for axis, size in zip(port.shape[1:], row[port.name].shape, strict=True)
        if isinstance(axis, str)
    }
    return {port.name: _cut(form, port, outputs[port.name], place, sizes) for port in form.outputs}


def _cut(
    form: Form, port: Port, array: NDArray[Any], place: int, sizes: Mapping[str, int]
) -> NDArray[Any]:
    if not _has_rows(form, port):
        return array
    own = [
        slice(sizes[axis]) if isinstance(axis, str) and axis in form.pads else slice(None)
        for axis in port.shape[1:]
    ]
    # A copy: a view would keep the whole batch in memory.
    return np.array(array[(place, *own)])


def _has_rows(form: Form, port: Port) -> bool:
    """Whether an output has the batch axis of the inputs."""
    return bool(port.shape) and port.shape[0] == form.inputs[0].shape[0]


def _single(port: Port) -> bool:
    """Whether an input takes one sequence at a time, if no more."""
    return port.shape[:1] in (["B"], [1])


def _one_batch(port: Port, fixed_axes: Sequence[FixedAxis]) -> Reason:
    blame = next((f for f in fixed_axes if f.input == port.name and f.axis == 0), None)
    why = f": layer {blame.layer!r}, {blame.reason}" if blame else ""
    return Reason(
        f"run_many, input {port.name!r}",
        f"a model that takes {describe(port)} only{why}",
        "a model of any batch size, or of batch size 1",
        "use runner.run, or export a model whose batch size is None",
    )


def _is_ready(port: Port, sequence: object) -> bool:
    """Whether nothing needs to be checked or cast: thousands of sequences soon take a while."""
    return (
        type(sequence) is np.ndarray
        and sequence.dtype == np.dtype(port.dtype)
        and sequence.ndim == len(port.shape)
        and 0 not in sequence.shape
        and all(
            size == axis or isinstance(axis, str)
            for size, axis in zip(sequence.shape, port.shape, strict=True)
        )
        and len(set(port.shape)) == len(port.shape)
    )


def _bound(ports: Sequence[Port], manifest: Manifest, sequence: Any) -> dict[str, Any]:
    """Give every part of a sequence its input."""
    if len(ports) > 1 or isinstance(sequence, Mapping):
        return bind(ports, manifest.input_structure, (sequence,), {})
    (port,) = ports
    if isinstance(sequence, (list, tuple)) and len(sequence) == 1:
        # An array in a list, as Keras takes the inputs of a model.
        rank = getattr(sequence[0], "ndim", None)
        sequence = sequence[0] if rank == len(port.shape) else sequence
    return {port.name: sequence}


def _told(number: int, reasons: Iterable[Reason]) -> Iterator[Reason]:
    for r in reasons:
        yield Reason(f"sequence {number}, {r.subject}", r.received, r.expected, r.remedy)


def _shortened(reasons: Sequence[Reason], bad: int) -> list[Reason]:
    if len(reasons) <= _SHOWN:
        return list(reasons)
    more = f"{len(reasons) - _SHOWN} more reasons, {bad} sequences that do not fit in all"
    remedy = "mend these first"
    return [*reasons[:_SHOWN], Reason("sequences", more, "sequences that fit", remedy)]
