"""onnxruntime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnport.runtime.backends.onnxruntime import onnxruntime_lacks, open_onnxruntime
from rnnport.spec import Lack

__all__ = ["Cpu"]


class Cpu:
    """The backend."""

    name = "cpu"
    target = "cpu"

    def require(self) -> None:
        """Return: rnnport itself needs onnxruntime."""

    def lacks(self, path: Path) -> list[Lack]:
        """As onnxruntime_lacks."""
        return onnxruntime_lacks(path)

    def open(
        self, path: Path, threads: int | None, *, arena: bool, spin: bool | None = None
    ) -> Any:
        """As open_onnxruntime."""
        return open_onnxruntime(path, "cpu", threads, arena=arena, spin=spin)
