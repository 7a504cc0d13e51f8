"""Sources: what is given to be decoded, arrays or rows of unequal length, in batches that fit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.errors import InputError, Reason
from rnnport.runtime.checks import check_inputs, name_reasons
from rnnport.runtime.stream_checks import one_row
from rnnport.runtime.structure import bind
from rnnport.samples import mask_mark, masked_letters
from rnnport.spec import FixedAxis, Port, Structure

__all__ = ["Sources", "bind_sources", "read_sources"]

Arrays = dict[str, NDArray[Any]]
Index = NDArray[np.intp]

# Of bad rows only so many are listed.
_SHOWN = 8


@dataclass(frozen=True)
class Sources:
    """Checked sources.

    Attributes:
        ports: what each brings.
        rows: input name to array (F…) or (S, F…), for each source.
        pads: letters whose sizes may differ within a batch: short rows are padded.
    """

    ports: Sequence[Port]
    rows: Sequence[Arrays]
    pads: frozenset[str]

    def __len__(self) -> int:
        return len(self.rows)

    def slices(self, size: int) -> Iterator[Index]:
        """Numbers of sources, at most size at a time, those of like lengths together."""
        lengths = [self._lengths(row) for row in self.rows]
        order = np.array(sorted(range(len(self)), key=lengths.__getitem__), np.intp)
        for start in range(0, len(order), size):
            yield np.sort(order[start : start + size])

    def batches(self, index: Index) -> Iterator[tuple[Index, Arrays]]:
        """Arrays (B, …) of these sources, and which they are.

        Sources of unequal length share a batch only where padding is known to change nothing, so
        that each gets what it would get alone.
        """
        groups: dict[tuple[int, ...], list[int]] = {}
        for i in index:
            key = self._lengths(self.rows[i], without=self.pads)
            groups.setdefault(key, []).append(int(i))
        for group in groups.values():
            rows = [self.rows[i] for i in group]
            arrays = {
                port.name: _stack(port, [row[port.name] for row in rows]) for port in self.ports
            }
            yield np.array(group, np.intp), arrays

    def _lengths(self, row: Arrays, without: frozenset[str] = frozenset()) -> tuple[int, ...]:
        return tuple(
            size
            for port in self.ports
            for size, axis in zip(row[port.name].shape, port.shape[1:], strict=True)
            if isinstance(axis, str) and axis not in without
        )


def bind_sources(ports: Sequence[Port], structure: Structure, source: Any) -> dict[str, Any]:
    """Give every part of a source its input.

    Args:
        ports: the inputs.
        structure: their nesting.
        source: for one input an array or a list of rows; for several a tuple or dict of those.

    Raises:
        InputError: a nesting that does not fit.
    """
    if len(ports) > 1 or isinstance(source, Mapping):
        return bind(ports, structure, (source,), {})
    (port,) = ports
    if isinstance(source, (list, tuple)) and len(source) == 1:
        # An array in a list, as Keras takes the inputs of a model.
        rank = getattr(source[0], "ndim", None)
        source = source[0] if rank == len(port.shape) else source
    return {port.name: source}


def read_sources(
    ports: Sequence[Port],
    given: Mapping[str, Any],
    *,
    fixed_axes: Sequence[FixedAxis] = (),
    pads: Collection[str] = (),
) -> Sources:
    """Check sources.

    Args:
        ports: what each brings.
        given: input name to an array (B, …), or to a list of arrays (…), one a source.
        fixed_axes: the manifest's.
        pads: letters along which rows of unequal length may be padded, the form's.

    Raises:
        InputError: no sources, or names, shapes, dtypes or lengths that do not fit, or a source
            that is masked altogether; says which.
    """
    if reasons := [*name_reasons(ports, given), *_count_reasons(given)]:
        raise InputError(*reasons)
    if any(isinstance(value, (list, tuple)) for value in given.values()):
        rows = _checked_rows(ports, given)
    else:
        arrays = check_inputs(ports, given, fixed_axes)
        count = len(next(iter(arrays.values())))
        rows = [{name: array[i] for name, array in arrays.items()} for i in range(count)]
    if reasons := list(_padding_reasons(ports, rows)):
        raise InputError(*reasons[:_SHOWN])
    return Sources(ports, rows, masked_letters(ports) & frozenset(pads))


def _count_reasons(given: Mapping[str, Any]) -> Iterator[Reason]:
    """No sources at all, or not as many for every input."""
    counts = {name: len(value) for name, value in given.items() if hasattr(value, "__len__")}
    first = next(iter(counts), "")
    for name, count in counts.items():
        if count == 0:
            yield Reason(f"sources {name!r}", "none", "at least one", "pass [source]")
        elif count != counts[first]:
            expected = f"{counts[first]}, as there are of {first!r}"
            yield Reason(f"sources {name!r}", f"{count} of them", expected, "pass as many of each")


def _checked_rows(ports: Sequence[Port], given: Mapping[str, Any]) -> list[Arrays]:
    """Each source by itself."""
    alone = [one_row(port) for port in ports]
    rows: list[Arrays] = []
    reasons: list[Reason] = []
    for i, parts in enumerate(zip(*(given[port.name] for port in ports), strict=True)):
        try:
            named = {port.name: part for port, part in zip(ports, parts, strict=True)}
            rows.append(check_inputs(alone, named))
        except InputError as error:
            reasons += [
                Reason(f"source {i}, {r.subject}", r.received, r.expected, r.remedy)
                for r in error.reasons
            ]
        if len(reasons) >= _SHOWN:
            break
    if reasons:
        raise InputError(*reasons)
    return rows


def _padding_reasons(ports: Sequence[Port], rows: Sequence[Arrays]) -> Iterator[Reason]:
    """Sources of which the model would see nothing."""
    for port in ports:
        mark = mask_mark(port)
        if mark is None:
            continue
        for i, row in enumerate(rows):
            if (row[port.name] == mark).all():
                yield Reason(
                    f"source {i}, input {port.name!r}",
                    f"{len(row[port.name])} steps of padding",
                    f"at least one step that is not {mark:g}, which the model masks",
                    "leave this source out",
                )


def _stack(port: Port, rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Rows in one array, short ones padded on the right."""
    longest = tuple(max(sizes) for sizes in zip(*(row.shape for row in rows), strict=True))
    if all(row.shape == longest for row in rows):
        return np.stack(rows)
    stacked = np.full((len(rows), *longest), mask_mark(port), port.dtype)
    for i, row in enumerate(rows):
        stacked[i, : len(row)] = row
    return stacked
