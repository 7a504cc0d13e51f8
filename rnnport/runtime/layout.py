"""How a run is spread over the cores: threads inside operators, or rows of the batch side by side.

onnxruntime's LSTM shares its rows out by itself. Its GRU and RNN, and a Scan, wait for one another
at every step: there one thread is faster while a step is small, and parts of the batch side by
side, each on one thread, once there is enough of it. Figures: docs/runtime.md.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from rnnport.spec import Form, Port, Tuned

__all__ = ["WHOLE", "Layout", "Spread", "cut", "sizes_of", "steps_of"]

# Multiplications of a layer below which its step is faster on one thread, those of an LSTM that has
# several rows to share out, and weights that this is true of; …
_ONE_THREAD, _ONE_THREAD_LSTM, _ONE_THREAD_WEIGHTS = 900_000, 30_000, 200_000
# … those of a part that gains more than handing it over costs; a few steps give less to gain, …
_PART, _SHORT_PART, _SHORT = 5_000_000, 20_000_000, 4
# … rows of a part, and rows where the weights do not stay in a core's cache and every part reads
# them anew.
_ROWS, _LARGE_ROWS, _LARGE = 4, 16, 500_000
# Steps of all rows above which an LSTM reads and writes less memory again and again in parts of so
# many rows, one after the other.
_MANY_STEPS, _CHUNK = 40_000, 32


@dataclass(frozen=True)
class Layout:
    """How to run.

    Attributes:
        parts: rows of each part, [start, stop); none where the batch stays whole.
        one_thread: each part runs on one thread, side by side with others; else parts run one
            after the other on all threads.
    """

    parts: tuple[tuple[int, int], ...] = ()
    one_thread: bool = False


WHOLE = Layout()


class Spread:
    """Chooses; always the same for the same sizes, since parts round their last bits differently.

    Args:
        form: the graph.
        threads: how many there are to use.
        mixes_rows: rows of a batch influence one another.
        tuned: measured layouts, for sizes near those that were measured.

    Attributes:
        may_cut: whether a batch may be cut at all.
    """

    def __init__(
        self, form: Form, threads: int, *, mixes_rows: bool, tuned: Sequence[Tuned] = ()
    ) -> None:
        by_op = form.step_weights
        self._lstm = by_op.get("LSTM", [])
        self._stepwise = [size for op, sizes in by_op.items() if op != "LSTM" for size in sizes]
        self._weights = sum(self._lstm) + sum(self._stepwise)
        # A convolution multiplies more often than it has weights, and an embedding less.
        self._large = min(self._weights, form.size // 4) > _LARGE
        ports = [*form.inputs, *form.outputs]
        apart = not mixes_rows and all(port.shape[:1] == ["B"] for port in ports)
        self.may_cut = threads > 1 and apart
        self._tuned = [point for point in tuned if point.threads == threads]
        self._threads = threads
        self._small = threads > 1 and 0 < max(self._each(), default=0) <= _ONE_THREAD_WEIGHTS
        self._cuts = self.may_cut and sum(self._stepwise) >= max(1, sum(self._lstm))

    @property
    def always_whole(self) -> bool:
        """Whether there is nothing to choose."""
        return not (self._small or self._cuts or self._tuned or (self.may_cut and self._lstm))

    def layout(self, sizes: Mapping[str, int]) -> Layout:
        """The layout for these sizes.

        Args:
            sizes: axis letter to size.
        """
        if self.always_whole:
            return WHOLE
        batch = sizes.get("B", 1)
        steps = steps_of(sizes)
        if (point := self._nearest(batch, steps)) is not None:
            return self._as_tuned(point, batch)
        rows = batch // (_LARGE_ROWS if self._large else _ROWS)
        work = batch * steps * self._weights // (_PART if steps >= _SHORT else _SHORT_PART)
        count = min(self._threads, rows, work)
        if self._cuts and count > 1:
            return Layout(cut(batch, count), one_thread=True)
        if self.may_cut and self._lstm and batch * steps >= _MANY_STEPS and batch >= 2 * _CHUNK:
            return Layout(cut(batch, batch // _CHUNK))
        return Layout(one_thread=self._small and self._light(batch))

    def _nearest(self, batch: int, steps: int) -> Tuned | None:
        """The measured sizes nearest to these; None where none are within a factor of two."""

        def away(point: Tuned) -> tuple[float, float]:
            distances = abs(math.log2(batch / point.batch)), abs(math.log2(steps / point.time))
            return max(distances), sum(distances)

        nearest = min(self._tuned, key=away, default=None)
        return nearest if nearest is not None and away(nearest)[0] <= 1 else None

    def _as_tuned(self, point: Tuned, batch: int) -> Layout:
        count = min(point.parts, batch) if self.may_cut else 1
        return Layout(cut(batch, count) if count > 1 else (), one_thread=point.one_thread)

    def _each(self) -> list[int]:
        return [*self._lstm, *self._stepwise]

    def _light(self, batch: int) -> bool:
        """Whether every layer's step is."""
        lstm = batch == 1 or batch * max(self._lstm, default=0) <= _ONE_THREAD_LSTM
        return lstm and batch * max(self._stepwise, default=0) <= _ONE_THREAD


def sizes_of(ports: Iterable[Port], arrays: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """Axis letter to size.

    Args:
        ports: of the arrays.
        arrays: by name, of the ports' ranks.
    """
    return {
        axis: size
        for port in ports
        for axis, size in zip(port.shape, arrays[port.name].shape, strict=True)
        if isinstance(axis, str)
    }


def steps_of(sizes: Mapping[str, int]) -> int:
    """The longest time T of a run; 1 where no axis is one."""
    return max((size for letter, size in sizes.items() if letter[:1] == "T"), default=1)


def cut(batch: int, count: int) -> tuple[tuple[int, int], ...]:
    """Rows of each of so many parts, as even as may be."""
    ends = [batch * k // count for k in range(count + 1)]
    return tuple(itertools.pairwise(ends))
