"""StreamTable: which row of the slabs a stream's states stand in, and which ids are open.

An id is one int: a slot, and how often that slot has changed hands. So an id that was closed is
known as such even when its slot has long been given to another stream, and a stream costs four
numbers instead of an entry in a dict. Rows are kept dense: closing a stream moves the last row
into the gap.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.errors import Reason, StreamError

__all__ = ["MAX_STREAMS", "StreamTable", "as_ids"]

_SLOT_BITS = 24
MAX_STREAMS = 1 << _SLOT_BITS
_SLOT_MASK = MAX_STREAMS - 1
_FIRST_SIZE = 16
_SHOWN = 5
_REMEDY = "pass ids that open() or restore() of this pool gave and that are not closed"

Ids = NDArray[np.int64]
Rows = NDArray[np.intp]


def as_ids(ids: Any) -> Ids:
    """Turn a sequence of ids into an array (K,).

    Raises:
        StreamError: no ids at all, or something else than whole numbers.
    """
    array = np.asarray(ids)
    if array.ndim == 1 and array.size and array.dtype.kind == "i":
        return array.astype(np.int64, copy=False)
    received = "none" if array.shape == (0,) else f"{type(ids).__name__}, {array.dtype}"
    remedy = "pass a list, also for one stream: [sid]"
    raise StreamError.of("ids", received, "a list of at least one id", remedy)


class StreamTable:
    """The open streams: id to row and row to id."""

    def __init__(self) -> None:
        self._count = 0
        # Odd while the slot is taken, even while it is free. (slots,)
        self._generation = np.zeros(0, np.int64)
        self._row = np.zeros(0, np.int32)
        # Where a slot stands in the ids being looked up, to find those given twice. (slots,)
        self._mark = np.zeros(0, np.int32)
        # Slot of each row. (slots,), the first _count of them meant
        self._owner = np.zeros(0, np.int32)
        self._used = 0
        self._free: list[int] = []

    def __len__(self) -> int:
        return self._count

    def __contains__(self, stream: object) -> bool:
        if not isinstance(stream, (int, np.integer)) or isinstance(stream, bool):
            return False
        slot, generation = int(stream) & _SLOT_MASK, int(stream) >> _SLOT_BITS
        return bool(generation & 1 and slot < self._used and self._generation[slot] == generation)

    def ids(self) -> list[int]:
        """Ids of the open streams, in the order of their rows."""
        owners = self._owner[: self._count]
        ids: list[int] = ((self._generation[owners] << _SLOT_BITS) | owners).tolist()
        return ids

    def open(self) -> int:
        """Take a slot; its row is the last one, len(self) - 1."""
        slot = heapq.heappop(self._free) if self._free else self._new_slot()
        self._generation[slot] += 1
        self._row[slot] = self._count
        self._owner[self._count] = slot
        self._count += 1
        return int(self._generation[slot]) << _SLOT_BITS | slot

    def close(self, stream: int) -> tuple[int, int]:
        """Free a stream's slot.

        Returns:
            Its row, and the row that was the last one and shall now stand there; they may be one.

        Raises:
            StreamError: unknown or closed.
        """
        row = int(self.rows(as_ids([stream]))[0])
        slot = stream & _SLOT_MASK
        last = self._count - 1
        mover = self._owner[last]
        self._owner[row], self._row[mover] = mover, row
        self._generation[slot] += 1
        heapq.heappush(self._free, slot)
        self._count = last
        return row, last

    def rows(self, ids: Ids) -> Rows:
        """Rows of open streams, (K,).

        Raises:
            StreamError: an id is unknown, closed or given twice.
        """
        slots, generations = ids & _SLOT_MASK, ids >> _SLOT_BITS
        if (
            not self._used
            or not (
                (slots < self._used)
                & (generations & 1 == 1)
                & (self._generation[np.minimum(slots, self._used - 1)] == generations)
            ).all()
        ):
            raise StreamError(*self._not_open(ids))
        places = np.arange(len(ids), dtype=np.int32)
        self._mark[slots] = places
        if not (twice := self._mark[slots] != places).any():
            rows: Rows = self._row[slots].astype(np.intp)
            return rows
        raise StreamError(
            *_some([_reason(stream, "given twice", "once") for stream in np.unique(ids[twice])])
        )

    def _not_open(self, ids: Ids) -> list[Reason]:
        return _some(
            [
                _reason(stream, "closed" if self._was_open(stream) else "unknown", "open")
                for stream in ids.tolist()
                if stream not in self
            ]
        )

    def _was_open(self, stream: int) -> bool:
        slot, generation = stream & _SLOT_MASK, stream >> _SLOT_BITS
        return bool(generation & 1 and slot < self._used and generation < self._generation[slot])

    def _new_slot(self) -> int:
        slot = self._used
        if slot == len(self._generation):
            more = max(_FIRST_SIZE, 2 * slot)
            for name in ("_generation", "_row", "_mark", "_owner"):
                array = getattr(self, name)
                grown = np.zeros(more, array.dtype)
                grown[:slot] = array
                setattr(self, name, grown)
        self._used += 1
        return slot


def _reason(stream: int, received: str, expected: str) -> Reason:
    state = "an open stream" if expected == "open" else expected
    remedy = _REMEDY if expected == "open" else "step a stream once in a call, or feed it a chunk"
    return Reason(f"stream {stream}", received, state, remedy)


def _some(reasons: Sequence[Reason]) -> list[Reason]:
    """The first few; a call may name thousands of streams."""
    if len(reasons) <= _SHOWN:
        return list(reasons)
    more = f"{len(reasons) - _SHOWN} more like these"
    return [*reasons[:_SHOWN], Reason("other streams", more, "none", "as above")]
