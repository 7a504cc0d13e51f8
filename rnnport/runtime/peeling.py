"""Peeling: chunks of unequal length, cut so that every piece is a full rectangle.

The streams are sorted by length, longest first. All of them run as far as the shortest goes, those
that have more run on to the next length, and so on. The work is the sum of the lengths, and every
stream sees its own steps and nothing else. Padding would need a mask, which a model without
masking lacks, and would push zeros into the left context of its convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.stream_plan import StreamPlan, has_time

__all__ = ["Peeled", "Piece", "peel"]

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Piece:
    """Steps from start to stop of the `rows` longest streams.

    Attributes:
        rows: how many streams.
        arrays: input name to (rows, stop - start, F…), or (rows, F…) for a timeless form.
    """

    rows: int
    arrays: Arrays


@dataclass(frozen=True)
class Peeled:
    """Chunks cut into pieces, and the outputs put together again.

    Attributes:
        order: streams, longest first.
        lengths: steps of each stream, in the order given.
        collected: for each stream and output, what came for its pieces so far.
    """

    plan: StreamPlan
    chunks: Sequence[Arrays]
    order: NDArray[np.intp]
    lengths: NDArray[np.intp]
    collected: list[dict[str, list[NDArray[Any]]]]

    @property
    def pieces(self) -> Iterator[Piece]:
        """The pieces, in the order of time."""
        start = 0
        for stop in self._cuts():
            rows = int((self.lengths > start).sum())
            yield Piece(rows, self._cut(self.order[:rows], start, int(stop)))
            start = int(stop)

    def time(self, arrays: Arrays) -> int:
        """How many steps a piece has."""
        return 1 if self.plan.timeless else int(next(iter(arrays.values())).shape[1])

    def take(self, outputs: Arrays) -> None:
        """Hand in the outputs of the next piece, (rows, …) each."""
        for port in self.plan.outputs:
            array = outputs[port.name]
            # A timeless form's outputs are those of one step.
            steps = array[:, None] if self.plan.timeless else array
            for stream, part in zip(self.order, steps, strict=False):
                parts = self.collected[stream].setdefault(port.name, [])
                if not (self.plan.timeless or has_time(port)):
                    parts.clear()
                parts.append(part)

    def outputs(self) -> list[Arrays]:
        """The outputs of every stream, (t, F…), or (F…) for the last only; new arrays."""
        timed = {p.name for p in self.plan.outputs if self.plan.timeless or has_time(p)}
        return [
            {
                name: np.concatenate(parts) if name in timed else parts[0].copy()
                for name, parts in collected.items()
            }
            for collected in self.collected
        ]

    def _cuts(self) -> NDArray[np.intp]:
        if self.plan.timeless:
            return np.arange(1, self.lengths.max() + 1)
        return np.unique(self.lengths)

    def _cut(self, streams: NDArray[np.intp], start: int, stop: int) -> Arrays:
        return {
            port.name: np.stack([self._part(port.name, s, start, stop) for s in streams])
            for port in self.plan.chunks
        }

    def _part(self, name: str, stream: int, start: int, stop: int) -> NDArray[Any]:
        part: NDArray[Any] = self.chunks[stream][name][start:stop]
        return part[0] if self.plan.timeless else part


def peel(plan: StreamPlan, chunks: Sequence[Arrays]) -> Peeled:
    """Cut chunks into pieces.

    Args:
        plan: the stream form's.
        chunks: for each stream, input name to (t, F…), the same t for all its inputs.
    """
    name = plan.chunks[0].name
    lengths = np.array([len(chunk[name]) for chunk in chunks], np.intp)
    order = np.argsort(-lengths, kind="stable")
    return Peeled(plan, chunks, order, lengths, [{} for _ in chunks])
