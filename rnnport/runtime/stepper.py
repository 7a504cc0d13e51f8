"""Stepper: a fixed batch of live streams, stepped or fed in chunks."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.buffers import Memory, Tensor, memory_for
from rnnport.runtime.fixed_checks import check_fixed
from rnnport.runtime.quick_step import QuickStep
from rnnport.runtime.snapshot import Snapshot, decode, encode
from rnnport.runtime.stream_checks import check_rows, check_states, check_steps
from rnnport.runtime.stream_plan import add_time, drop_time, sizes
from rnnport.runtime.stream_session import StreamSessions, run_stream
from rnnport.runtime.structure import pack

__all__ = ["Stepper"]

_OWNER = "stepper's rows"

Arrays = dict[str, NDArray[Any]]


class Stepper:
    """B streams that go on together. Calls from several threads take turns.

    No call that raises changes a state, and nothing resets by itself.

    Attributes:
        batch_size: B, the same for every call.
    """

    def __init__(
        self,
        sessions: StreamSessions,
        batch_size: int,
        fixed: Mapping[str, Any] | None,
        *,
        memory: Memory | None = None,
    ) -> None:
        self.batch_size = batch_size
        self._plan = sessions.plan
        given = check_fixed(self._plan, fixed, batch_size, _OWNER, required=True)
        self._session = sessions.session(batch_size)
        self._memory = memory or memory_for(sessions.provider)
        # A run reads one set and writes the other: a run that fails leaves the first as it was.
        self._sets = [self._zeros(), self._zeros()]
        self._now = 0
        self._fixed: Arrays = {
            port.name: np.zeros((batch_size, *sizes(port)), port.dtype) for port in self._plan.fixed
        }
        self._lock = threading.Lock()
        self._write_fixed(given, np.arange(batch_size))
        self._quick = self._bind_quick()

    def step(self, /, *args: Any, **kwargs: Any) -> Any:
        """Take one step.

        Args:
            *args: arrays (B, F…), without the time axis, as Runner.run takes them.
            **kwargs: arrays by input name.

        Returns:
            Outputs (B, F…), nested as Keras gives them; where the model returns only its last
            output, that as if the sequence ended here.

        Raises:
            InputError: names, shapes, dtypes or values do not fit; no state has changed.
        """
        quick = self._quick
        if quick is not None and len(args) == 1 and not kwargs:
            x = args[0]
            if type(x) is np.ndarray and x.shape == quick.shape and x.dtype == quick.dtype:
                with self._lock:
                    y = quick.run_one(self._now, x)
                    self._now = 1 - self._now
                    return y
        plan = self._plan
        given = plan.bind(args, kwargs)
        arrays = check_steps(plan, plan.steps, given, self.batch_size, _OWNER)
        with self._lock:
            outputs = self._step(arrays)
        return pack(plan.output_structure, outputs)

    def feed(self, /, *args: Any, **kwargs: Any) -> Any:
        """Take the steps of a chunk.

        Args:
            *args: arrays (B, T, F…), any T from 1 up, as Runner.run takes them.
            **kwargs: arrays by input name.

        Returns:
            Outputs (B, T, F…), what Keras would give for these steps had it seen all before,
            nested as Keras gives them; (B, F…) where the model returns only its last output.

        Raises:
            InputError: names, shapes, dtypes or values do not fit; no state has changed.
        """
        plan = self._plan
        given = plan.bind(args, kwargs)
        arrays = check_steps(plan, plan.pieces, given, self.batch_size, _OWNER)
        with self._lock:
            outputs = self._feed(arrays)
        return pack(plan.output_structure, outputs)

    def reset(self, rows: Any = None, *, fixed: Mapping[str, Any] | None = None) -> None:
        """Start streams anew.

        Args:
            rows: an index, a list of them, or a mask (B,); None for all rows.
            fixed: new fixed inputs (rows, F…); those left out stay as they are. Start values
                (rows, F…) too; where they are left out the states start from zeros.

        Raises:
            InputError: no such rows, or fixed does not fit; nothing has changed.
        """
        index = check_rows(rows, self.batch_size)
        given = check_fixed(self._plan, fixed, len(index), "rows reset", required=False)
        with self._lock:
            self._write_fixed(given, index)

    @property
    def state(self) -> Arrays:
        """A copy of the states, name to array (B, …). Assign such a dict to set them."""
        with self._lock:
            return self._read()

    @state.setter
    def state(self, states: Mapping[str, Any]) -> None:
        arrays = check_states(self._plan, states, self.batch_size)
        with self._lock:
            self._write(arrays)

    def snapshot(self) -> bytes:
        """The streams as bytes: restore goes on from them, here or on another machine."""
        with self._lock:
            fixed = {name: array.copy() for name, array in self._fixed.items()}
            snapshot = Snapshot(self._read(), fixed)
        return encode(self._plan, self.batch_size, snapshot)

    def restore(self, blob: bytes) -> None:
        """Go on from a snapshot, fixed inputs included.

        Raises:
            SnapshotRefused: damaged, or of another model, version or batch size; nothing has
                changed.
        """
        snapshot = decode(blob, self._plan, self.batch_size)
        with self._lock:
            self._write([snapshot.states[state.name] for state in self._plan.states])
            for name, array in snapshot.fixed.items():
                self._fixed[name][...] = array

    def __repr__(self) -> str:
        names = ", ".join(state.name for state in self._plan.states)
        return f"<Stepper of {self.batch_size}, states {names}>"

    def _bind_quick(self) -> QuickStep | None:
        return QuickStep.of(
            self._session,
            self._plan,
            self.batch_size,
            self._fixed,
            self._sets,
            sticky=self._memory.sticky,
        )

    def _step(self, arrays: Arrays) -> Arrays:
        """One step on arrays (B, F…); outputs (B, F…)."""
        if self._quick is None:
            outputs = self._run(add_time(self._plan.chunks, arrays), 1)
            return drop_time(self._plan.outputs, outputs)
        outputs = self._quick.run(self._now, arrays)
        self._now = 1 - self._now
        return outputs

    def _feed(self, arrays: Arrays) -> Arrays:
        """A chunk of arrays (B, T, F…)."""
        time = next(iter(arrays.values())).shape[1]
        if not self._plan.timeless:
            return self._run(arrays, time)
        before = self._read()
        try:
            steps = [self._step(_at(arrays, t)) for t in range(time)]
        except Exception:
            self._write(list(before.values()))
            raise
        return {name: np.stack([step[name] for step in steps], axis=1) for name in steps[0]}

    def _run(self, arrays: Arrays, time: int) -> Arrays:
        axes = {"B": self.batch_size, "T": time}
        before, after = self._sets[self._now], self._sets[1 - self._now]
        inputs = {**arrays, **self._fixed}
        outputs = run_stream(self._session, self._plan, axes, inputs, before, after)
        self._now = 1 - self._now
        return outputs

    def _zeros(self) -> list[Tensor]:
        return [
            self._memory.zeros((self.batch_size, *sizes(state)), np.dtype(state.dtype))
            for state in self._plan.states
        ]

    def _read(self) -> Arrays:
        tensors = zip(self._plan.states, self._sets[self._now], strict=True)
        return {state.name: self._memory.read(tensor) for state, tensor in tensors}

    def _write(self, arrays: list[NDArray[Any]]) -> None:
        for tensor, array in zip(self._sets[self._now], arrays, strict=True):
            self._memory.write(tensor, array)

    def _write_fixed(self, given: Arrays, index: NDArray[np.intp]) -> None:
        """Fixed inputs and fresh states for some rows."""
        for name, array in self._fixed.items():
            if name in given:
                array[index] = given[name]
        states = self._read()
        for state in self._plan.states:
            states[state.name][index] = given.get(state.start, 0)
        self._write(list(states.values()))


def _at(arrays: Arrays, t: int) -> Arrays:
    """Step t of a chunk."""
    return {name: np.ascontiguousarray(array[:, t]) for name, array in arrays.items()}
