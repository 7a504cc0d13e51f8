"""rnnport itself: runner.run of the artifact, checks of the inputs included."""

from __future__ import annotations

from dataclasses import dataclass

import rnnport
from suite.peers.base import Bind
from suite.subject import Subject

__all__ = ["Ours"]


@dataclass(frozen=True)
class Ours:
    """One target.

    Attributes:
        target: of rnnport.export.
    """

    target: str
    role: str = "ours"
    few: bool = False
    distributions: tuple[str, ...] = ("onnxruntime-gpu", "onnxruntime")

    @property
    def name(self) -> str:
        """Of target "cpu", which rnnport recommends on a CPU, the plain name."""
        return "rnnport" if self.target == "cpu" else f"rnnport, {self.target}"

    def prepare(self, subject: Subject) -> Bind:
        """Export, load."""
        artifact = subject.artifact(self.target)
        runner = rnnport.load(artifact, provider="cpu", threads=subject.threads)
        return lambda arrays: lambda: runner.run(*arrays)
