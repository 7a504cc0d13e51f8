"""Sessions of one form that is run step by step: opened when first needed, then shared."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rnnport.errors import ArtifactDamaged
from rnnport.runtime.session import open_session
from rnnport.spec import Form

__all__ = ["SMALL_FILE", "FormSessions"]

# Below this batch size a second thread costs more than it brings: one LSTM step 64→128 takes
# 10 µs on one thread and up to 24 µs on two. The memory arena costs such a step another 1 µs.
_FEW_ROWS = 16

# Bytes of a graph that may be open once for every part of a run.
SMALL_FILE = 1 << 25


class FormSessions:
    """The sessions of one form, by number of threads.

    Args:
        path: the .onnx file.
        inputs: the names its inputs must have, states included, in any order.
        outputs: the names its outputs must have.
        provider: a resolved provider.
        threads: the user's choice; None takes one thread for few rows, else onnxruntime's choice.
        spin: as in open_session.
    """

    def __init__(
        self,
        path: Path,
        inputs: Sequence[str],
        outputs: Sequence[str],
        provider: str,
        threads: int | None,
        spin: bool | None = None,
    ) -> None:
        self.path = path
        self.provider = provider
        self._inputs, self._outputs = inputs, outputs
        self._threads, self._spin = threads, spin
        self._open: dict[tuple[int | None, bool, int], Any] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(
        cls,
        path: Path,
        form: Form,
        provider: str,
        threads: int | None,
        spin: bool | None = None,
    ) -> FormSessions:
        """The sessions of a form, its names as the manifest has them."""
        inputs = [*(p.name for p in form.inputs), *(s.input for s in form.states)]
        outputs = [*(p.name for p in form.outputs), *(s.output for s in form.states)]
        return cls(path, inputs, outputs, provider, threads, spin)

    def session_for(self, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """The session for whole sequences (B, T, …), whose products take all steps at once."""
        return self.session(max(array[..., 0].size for array in arrays.values()))

    def session(self, rows: int) -> Any:
        """The session for so many rows a run."""
        few = self._few(rows)
        threads = 1 if few and self._threads is None else self._threads
        return self._session(threads, arena=not few)

    def singles(self, rows: Sequence[int], *, one_each: bool) -> list[Any]:
        """Sessions on one thread, for parts of so many rows that run side by side.

        Args:
            rows: of each part.
            one_each: every part has its own: in one they wait for one another in its arena, and
                each holds the weights.
        """
        return [
            self._session(1, arena=not self._few(count), number=number if one_each else 0)
            for number, count in enumerate(rows)
        ]

    def _few(self, rows: int) -> bool:
        return self.provider == "cpu" and rows < _FEW_ROWS

    def _session(self, threads: int | None, *, arena: bool, number: int = 0) -> Any:
        key = threads, arena, number
        with self._lock:
            if key not in self._open:
                session = open_session(
                    self.path, self.provider, threads, arena=arena, spin=self._spin
                )
                self._check_names(session)
                self._open[key] = session
            return self._open[key]

    def _check_names(self, session: Any) -> None:
        """A graph that does not fit its manifest would be bound to the wrong memory."""
        for side, wanted, found in (
            ("inputs", self._inputs, session.get_inputs()),
            ("outputs", self._outputs, session.get_outputs()),
        ):
            names = [value.name for value in found]
            if sorted(names) != sorted(wanted):
                expected = f"those of the manifest: {sorted(wanted)}"
                remedy = "export the model again"
                subject = f"{self.path}, {side}"
                raise ArtifactDamaged.of(subject, f"{sorted(names)}", expected, remedy)
