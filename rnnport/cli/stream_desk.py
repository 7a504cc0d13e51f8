"""Many named streams on top of one pool: what `rnnport stream` does with a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnport.cli.stream_inputs import Inputs, describe_step, read_inputs
from rnnport.cli.stream_lines import Line, Name
from rnnport.errors import InputError, RnnportError, StreamError
from rnnport.runtime.stream_plan import StreamPlan

if TYPE_CHECKING:
    from rnnport.runtime.runner import Runner

__all__ = ["Desk"]

_CAPACITY = 1024


class Desk:
    """Opens streams by name and steps them. No line that is refused changes a stream.

    Attributes:
        takes: what a line looks like that brings one step.
    """

    def __init__(self, runner: Runner) -> None:
        self._pool = runner.pool(_CAPACITY)
        self._plan = StreamPlan.of(runner.manifest)
        self._streams: dict[Name, int] = {}
        self.takes = describe_step(self._plan)

    def __len__(self) -> int:
        return len(self._streams)

    def answer(self, line: Line) -> Any:
        """Do what a line asks.

        Returns:
            The outputs of its step or chunk, without the batch axis; None where it brings none.

        Raises:
            RnnportError: it cannot be done, and nothing was.
        """
        inputs = read_inputs(self._plan, line)
        undo = self._begin(line)
        try:
            outputs = None if inputs is None else self._run(self._streams[line.id], inputs)
        except RnnportError:
            undo()
            raise
        if line.end:
            self._close(line.id)
        return outputs

    def may_join(self, line: Line) -> bool:
        """Whether a line brings inputs for an open stream and nothing else: batches want that."""
        return line.is_plain and line.id in self._streams

    def answer_together(self, lines: Sequence[Line]) -> list[Any]:
        """As answer, in one batch, for lines of unlike ids that may join.

        Raises:
            RnnportError: one of them cannot be done, or is a chunk; nothing was done.
        """
        rows = [inputs for line in lines if (inputs := read_inputs(self._plan, line))]
        if any(row.is_chunk for row in rows):
            raise InputError.of("lines", "a chunk", "single steps", "answer them one by one")
        batch = {name: np.stack([row.arrays[name] for row in rows]) for name in rows[0].arrays}
        outputs = self._pool.step([self._streams[line.id] for line in lines], **batch)
        return [_row(outputs, index) for index in range(len(lines))]

    def snapshots(self) -> list[tuple[Name, bytes]]:
        """Every open stream."""
        return [(name, self._pool.snapshot(stream)) for name, stream in self._streams.items()]

    def restore(self, name: Name, snapshot: bytes) -> None:
        """Open a stream that goes on from a snapshot.

        Raises:
            SnapshotRefused: damaged, or of another model.
        """
        self._make_room()
        self._streams[name] = self._pool.restore(snapshot)

    def _begin(self, line: Line) -> Callable[[], None]:
        """Open or reset the stream a line is for; what brings it back to before the line."""
        if line.id not in self._streams:
            return self._open(line)
        if not (line.has_input or line.reset or line.end or line.fixed is not None):
            raise _nothing_to_do()
        if line.reset:
            return self._reset(line)
        if line.fixed is not None:
            expected = 'on the first line of an id, or with "reset": true'
            raise InputError.of("fixed", "inputs for an open stream", expected, "leave it out")
        return lambda: None

    def _open(self, line: Line) -> Callable[[], None]:
        if line.end and not line.has_input:
            remedy = "check the id; a stream that has ended is forgotten"
            raise StreamError.of(f"id {line.id!r}", "end", "the id of an open stream", remedy)
        if not (line.has_input or line.reset or line.fixed is not None):
            raise _nothing_to_do()
        self._make_room()
        self._streams[line.id] = self._pool.open(fixed=line.fixed)
        return lambda: self._close(line.id)

    def _reset(self, line: Line) -> Callable[[], None]:
        stream = self._streams[line.id]
        saved = self._pool.snapshot(stream)
        fixed = {name: [value] for name, value in (line.fixed or {}).items()}
        self._pool.reset([stream], fixed=fixed)

        def undo() -> None:
            self._close(line.id)
            self.restore(line.id, saved)

        return undo

    def _run(self, stream: int, inputs: Inputs) -> Any:
        arrays = inputs.arrays
        if inputs.is_chunk:
            return self._pool.feed([stream], **{name: [a] for name, a in arrays.items()})[0]
        return _row(self._pool.step([stream], **{name: a[None] for name, a in arrays.items()}), 0)

    def _close(self, name: Name) -> None:
        self._pool.close(self._streams.pop(name))

    def _make_room(self) -> None:
        if len(self._pool) >= self._pool.capacity:
            self._pool.resize(2 * self._pool.capacity)


def _nothing_to_do() -> InputError:
    expected = '"x", "inputs", "fixed", "reset" or "end"'
    return InputError.of("line", "an id alone", expected, "say what to do")


def _row(outputs: Any, index: int) -> Any:
    """One row of nested outputs (K, …)."""
    if isinstance(outputs, dict):
        return {name: _row(part, index) for name, part in outputs.items()}
    if isinstance(outputs, tuple):
        return tuple(_row(part, index) for part in outputs)
    return outputs[index]
