"""What a runtime must offer: whether it works here, what it lacks, and a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from rnnport.spec import Lack

__all__ = ["Array", "Backend", "RunFailed", "Session", "Value"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Value:
    """An input or output of a session: its name, and the NumPy dtype the graph declares."""

    name: str
    dtype: str


class RunFailed(Exception):
    """A runtime's own refusal of a run.

    Args:
        runtime: its name and version, e.g. "OpenVINO 2026.4".
        detail: what it said.
    """

    def __init__(self, runtime: str, detail: str) -> None:
        self.runtime, self.detail = runtime, detail
        super().__init__(f"{runtime}: {detail}")


class Session(Protocol):
    """A graph that is ready to run. Calls of run from several threads are allowed."""

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Array]) -> list[Array]:
        """Run once.

        Args:
            names: the outputs wanted, in order; None for all.
            feeds: every input by name.

        Returns:
            New arrays, of the dtypes that the graph declares.
        """

    def get_inputs(self) -> Sequence[Any]:
        """The inputs, each with its .name."""

    def get_outputs(self) -> Sequence[Any]:
        """The outputs, each with its .name."""


class Backend(Protocol):
    """A runtime.

    Attributes:
        name: the provider's name, e.g. "openvino".
        target: the export target whose graphs suit it best.
    """

    name: str
    target: str

    def require(self) -> None:
        """Return where the runtime works on this machine.

        Raises:
            ProviderUnavailable: it does not; says what is missing and how to get it.
        """

    def lacks(self, path: Path) -> list[Lack]:
        """What in a graph the runtime does not run, or runs wrong without saying so.

        Found by reading the file, before anything is run.

        Raises:
            ArtifactDamaged: the file is no ONNX graph.
        """

    def open(
        self, path: Path, threads: int | None, *, arena: bool, spin: bool | None = None
    ) -> Session:
        """Open a graph that lacks nothing.

        Args:
            path: the .onnx file; external data lies beside it.
            threads: for the work inside one operator; None leaves the choice to the runtime.
            arena: keep freed memory at hand, where the runtime knows such a thing.
            spin: whether idle threads wait for work at full speed, where the runtime lets one
                choose; None leaves the choice to the backend.

        Raises:
            ArtifactDamaged: the runtime does not take the file.
            ProviderUnavailable: the runtime works here, but not for this graph.
        """
