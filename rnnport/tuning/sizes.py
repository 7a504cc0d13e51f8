"""The sizes to tune for, with inputs; sizes asked for that the model cannot take are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from rnnport.artifact.load import Artifact
from rnnport.errors import UsageError
from rnnport.runtime.benchmark_tasks import run_sizes
from rnnport.runtime.layout import sizes_of
from rnnport.samples import draw
from rnnport.tuning.report import Size

__all__ = ["BATCHES", "Point", "points"]

BATCHES, TIMES = (1, 8, 32), (1, 20, 100)
"""Where nothing was asked for."""

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Point:
    """Inputs of one size.

    Attributes:
        size: in words of the user.
        inputs: arrays by name.
        sizes: as a runner sees it, by axis letter; axes of one size have none.
    """

    size: Size
    inputs: Arrays
    sizes: Mapping[str, int]

    @property
    def title(self) -> str:
        """Batch by length."""
        return f"{self.size.batch}×{self.size.time}"


def points(
    artifact: Artifact,
    takes: Callable[[Arrays], bool],
    batches: Sequence[int] | None,
    times: Sequence[int] | None,
) -> list[Point]:
    """Every size, each once.

    Args:
        artifact: whose form "model" is meant.
        takes: whether the graph runs on such inputs.
        batches: sizes B that were asked for.
        times: lengths T.

    Raises:
        UsageError: the model takes one that was asked for not at all, or none of the usual ones.
    """
    candidates = _candidates(artifact, batches or BATCHES, times or TIMES)
    _require("batch", batches, {point.size.batch for point in candidates})
    _require("time", times, {point.size.time for point in candidates})
    found = [point for point in candidates if takes(point.inputs)]
    missed = sorted({p.size.time for p in candidates} - {p.size.time for p in found})
    if not found or (times is not None and missed):
        named = ", ".join(map(str, missed))
        remedy = "ask for longer sequences: --time 200"
        raise UsageError.of("time", named, "lengths that the model takes", remedy)
    return found


def _candidates(
    artifact: Artifact, batches: Sequence[int], times: Sequence[int]
) -> Sequence[Point]:
    ports = artifact.manifest.forms["model"].inputs
    found: dict[Size, Point] = {}
    for batch, length, sizes in run_sizes(artifact, batches, times):
        inputs = draw(ports, sizes)
        size = Size(batch, 1 if length is None else length)
        found.setdefault(size, Point(size, inputs, sizes_of(ports, inputs)))
    return list(found.values())


def _require(subject: str, wanted: Iterable[int] | None, possible: set[int]) -> None:
    if impossible := sorted(set(wanted or ()) - possible):
        received = ", ".join(map(str, impossible))
        only = ", ".join(map(str, sorted(possible)))
        expected = f"{only}: the model's own, since that axis is fixed or missing"
        raise UsageError.of(subject, received, expected, f"leave {subject} out")
