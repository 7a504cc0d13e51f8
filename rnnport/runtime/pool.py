"""StreamPool: many live streams, stepped together in whatever company comes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.errors import PoolFull, UsageError
from rnnport.runtime.fixed_checks import check_fixed, check_fixed_row
from rnnport.runtime.peeling import Peeled, peel
from rnnport.runtime.slabs import Rows, Slabs, Workspace, is_dense
from rnnport.runtime.snapshot import Snapshot, decode, encode
from rnnport.runtime.stream_checks import check_chunks, check_count, check_steps
from rnnport.runtime.stream_plan import add_time, drop_time
from rnnport.runtime.stream_session import StreamSessions, run_stream
from rnnport.runtime.stream_table import MAX_STREAMS, StreamTable, as_ids
from rnnport.runtime.structure import pack

__all__ = ["StreamPool", "check_capacity"]

Arrays = dict[str, NDArray[Any]]


def check_capacity(capacity: Any) -> None:
    """Refuse a capacity that no pool can have.

    Raises:
        UsageError: no positive integer, or more than ids can tell apart.
    """
    check_count("capacity", capacity)
    if capacity > MAX_STREAMS:
        remedy = "make several pools"
        raise UsageError.of("capacity", capacity, f"at most {MAX_STREAMS}", remedy)


class StreamPool:
    """Live streams, each with its own states; any of them may be stepped in one batch.

    A stream's results do not depend on its company. A stream that is not stepped keeps its states
    bit for bit. No call that raises changes a state. Calls from several threads take turns.

    Attributes:
        capacity: how many streams may be open.
    """

    def __init__(self, sessions: StreamSessions, capacity: int) -> None:
        check_capacity(capacity)
        self.capacity = capacity
        self._plan = sessions.plan
        self._session = sessions.session(capacity)
        self._table = StreamTable()
        self._states, self._fixed = Slabs(self._plan.states), Slabs(self._plan.fixed)
        self._before, self._after = Workspace(self._plan.states), Workspace(self._plan.states)
        self._fixed_rows = Workspace(self._plan.fixed)
        self._lock = threading.RLock()

    def open(self, *, fixed: Mapping[str, Any] | None = None) -> int:
        """Start a stream.

        Args:
            fixed: its fixed inputs by name, without the batch axis, all of them; also inputs that
                a state may start from, zeros where they are left out.

        Returns:
            The stream's id, which means something to this pool only.

        Raises:
            PoolFull: as many streams are open as capacity allows.
            InputError: fixed does not fit.
        """
        given = check_fixed_row(self._plan, fixed)
        with self._lock:
            return self._open(
                [given.get(state.start, 0) for state in self._plan.states],
                [given[port.name] for port in self._plan.fixed],
            )

    def step(self, ids: Sequence[int], /, *args: Any, **kwargs: Any) -> Any:
        """Take one step of some streams.

        Args:
            ids: K ids, each once, in any order.
            *args: arrays (K, F…), one row for each id, as Runner.run takes them.
            **kwargs: arrays by input name.

        Returns:
            Outputs (K, F…) in the order of ids, nested as Keras gives them.

        Raises:
            StreamError: an id is unknown, closed or given twice.
            InputError: names, shapes, dtypes or values do not fit.
        """
        array, plan = as_ids(ids), self._plan
        given = plan.bind(args, kwargs)
        arrays = check_steps(plan, plan.steps, given, len(array), "ids")
        return pack(plan.output_structure, self.step_checked(array, arrays))

    def step_checked(self, ids: NDArray[np.int64], arrays: Arrays) -> Arrays:
        """Step on arrays that were checked; outputs by name, (K, F…)."""
        plan = self._plan
        return drop_time(plan.outputs, self._run(ids, add_time(plan.chunks, arrays)))

    def feed(self, ids: Sequence[int], /, *args: Any, **kwargs: Any) -> list[Any]:
        """Take the steps of a chunk for each of some streams.

        Args:
            ids: K ids, each once, in any order.
            *args: for each input a list of K arrays (t, F…), of unequal lengths from 1 up.
            **kwargs: such lists by input name.

        Returns:
            For each stream its outputs (t, F…), or (F…) where the model returns only its last
            output, nested as Keras gives them.

        Raises:
            StreamError: an id is unknown, closed or given twice.
            InputError: names, shapes, dtypes or values do not fit.
        """
        array, plan = as_ids(ids), self._plan
        chunks = check_chunks(plan, plan.bind_lists(args, kwargs), len(array))
        return [pack(plan.output_structure, y) for y in self.feed_checked(array, chunks)]

    def feed_checked(self, ids: NDArray[np.int64], chunks: Sequence[Arrays]) -> list[Arrays]:
        """Feed chunks that were checked, one dict a stream; outputs likewise, (t, F…)."""
        peeled = peel(self._plan, chunks)
        with self._lock:
            rows = self._table.rows(ids)[peeled.order]
            states, fixed = self._gather(rows)
            for piece in peeled.pieces:
                self._feed_piece(piece.arrays, piece.rows, states, fixed, peeled)
            # Only now, so that a piece onnxruntime refuses leaves every stream as it was.
            self._states.write(rows, states)
        return peeled.outputs()

    def reset(self, ids: Sequence[int], *, fixed: Mapping[str, Any] | None = None) -> None:
        """Start some streams anew; they keep their ids.

        Args:
            ids: K ids, each once.
            fixed: new fixed inputs (K, F…); those left out stay as they are. Start values
                (K, F…) too; where they are left out the states start from zeros.
        """
        array = as_ids(ids)
        given = check_fixed(self._plan, fixed, len(array), "ids", required=False)
        with self._lock:
            rows = self._table.rows(array)
            self._states.write(rows, [given.get(state.start, 0) for state in self._plan.states])
            for port, slab in zip(self._plan.fixed, self._fixed.arrays, strict=True):
                if port.name in given:
                    slab[rows] = given[port.name]

    def close(self, stream: int) -> None:
        """End a stream; its id is never given again.

        Raises:
            StreamError: unknown or closed.
        """
        with self._lock:
            row, last = self._table.close(stream)
            self._states.move(last, row)
            self._fixed.move(last, row)

    def state(self, stream: int) -> Arrays:
        """A copy of a stream's states, name to array without the batch axis."""
        with self._lock:
            arrays = self._states.read(self._row(stream))
        names = [state.name for state in self._plan.states]
        return {
            name: array.reshape(array.shape[1:]) for name, array in zip(names, arrays, strict=True)
        }

    def snapshot(self, stream: int) -> bytes:
        """A stream as bytes: restore goes on from them, in any pool or stepper of one row."""
        plan = self._plan
        with self._lock:
            row = self._row(stream)
            states, fixed = self._states.read(row), self._fixed.read(row)
        return encode(
            plan,
            1,
            Snapshot(
                dict(zip([state.name for state in plan.states], states, strict=True)),
                dict(zip([port.name for port in plan.fixed], fixed, strict=True)),
            ),
        )

    def restore(self, blob: bytes) -> int:
        """Open a stream that goes on from a snapshot of one row.

        Returns:
            A new id.

        Raises:
            SnapshotRefused: damaged, or of another model, version or number of rows.
            PoolFull: as many streams are open as capacity allows.
        """
        snapshot = decode(blob, self._plan, 1)
        with self._lock:
            return self._open(
                [snapshot.states[state.name] for state in self._plan.states],
                [snapshot.fixed[port.name] for port in self._plan.fixed],
            )

    def resize(self, capacity: int) -> None:
        """Allow more streams, or fewer, and give memory back that is too much.

        Raises:
            UsageError: below the number of open streams, or no capacity at all.
        """
        check_capacity(capacity)
        with self._lock:
            if capacity < len(self._table):
                expected = f"at least {len(self._table)}, the streams that are open"
                raise UsageError.of("capacity", capacity, expected, "close streams first")
            self.capacity = capacity
            self._states.trim(capacity)
            self._fixed.trim(capacity)

    def ids(self) -> list[int]:
        """Ids of the open streams. Stepped in this order they need not be gathered."""
        with self._lock:
            return self._table.ids()

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, stream: object) -> bool:
        return stream in self._table

    def __repr__(self) -> str:
        return f"<StreamPool of {len(self)} open streams, capacity {self.capacity}>"

    def _row(self, stream: int) -> int:
        return int(self._table.rows(as_ids([stream]))[0])

    def _open(self, states: Sequence[Any], fixed: Sequence[Any]) -> int:
        row = len(self._table)
        if row >= self.capacity:
            raise PoolFull.of(
                "pool",
                f"one more stream than its capacity of {self.capacity}",
                f"at most {self.capacity} open streams",
                "close a stream, or raise the limit with pool.resize",
            )
        self._states.grow(row + 1, self.capacity)
        self._fixed.grow(row + 1, self.capacity)
        self._states.write(slice(row, row + 1), states)
        self._fixed.write(slice(row, row + 1), fixed)
        return self._table.open()

    def _gather(self, rows: Rows) -> tuple[list[NDArray[Any]], Arrays]:
        """Copies of the states, and of the fixed inputs by name."""
        fixed = self._fixed_rows.gather(self._fixed, rows)
        return self._before.gather(self._states, rows), self._named_fixed(fixed)

    def _run(self, ids: NDArray[np.int64], arrays: Arrays) -> Arrays:
        """One gather, one run, one scatter; no copy of a state where all streams are stepped."""
        with self._lock:
            rows = self._table.rows(ids)
            if len(rows) == len(self._table):
                return self._run_all(rows, arrays)
            before, fixed = self._gather(rows)
            after = self._after.of(len(rows))
            outputs = self._run_rows(arrays, fixed, before, after)
            self._states.write(rows, after)
        return outputs

    def _run_all(self, rows: Rows, arrays: Arrays) -> Arrays:
        """All streams, in the order of their rows: inputs and outputs are smaller than states."""
        count = len(rows)
        ordered = is_dense(rows)
        if not ordered:
            places = np.empty_like(rows)
            places[rows] = np.arange(count)
            arrays = {name: array[places] for name, array in arrays.items()}
        before = [slab[:count] for slab in self._states.arrays]
        fixed = self._named_fixed([slab[:count] for slab in self._fixed.arrays])
        outputs = self._run_rows(arrays, fixed, before, self._states.twin(count))
        self._states.swap()
        return outputs if ordered else {name: array[rows] for name, array in outputs.items()}

    def _run_rows(
        self,
        arrays: Arrays,
        fixed: Arrays,
        before: list[NDArray[Any]],
        after: list[NDArray[Any]],
    ) -> Arrays:
        axes = {"B": len(next(iter(arrays.values()))), "T": 1}
        return run_stream(self._session, self._plan, axes, {**arrays, **fixed}, before, after)

    def _feed_piece(
        self,
        arrays: Arrays,
        count: int,
        states: Sequence[NDArray[Any]],
        fixed: Arrays,
        peeled: Peeled,
    ) -> None:
        """Run the first `count` streams through one piece; states are updated in place."""
        before = [state[:count] for state in states]
        after = self._after.of(count)
        inputs = {**arrays, **{name: array[:count] for name, array in fixed.items()}}
        axes = {"B": count, "T": peeled.time(arrays)}
        peeled.take(run_stream(self._session, self._plan, axes, inputs, before, after))
        for state, new in zip(before, after, strict=True):
            state[...] = new

    def _named_fixed(self, arrays: Sequence[NDArray[Any]]) -> Arrays:
        return dict(zip([port.name for port in self._plan.fixed], arrays, strict=True))
