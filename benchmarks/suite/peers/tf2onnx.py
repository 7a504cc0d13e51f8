"""tf2onnx's own export on the same onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass

from suite.peers.base import Bind, Run
from suite.peers.sessions import open_session
from suite.subject import Array, Subject

__all__ = ["Tf2Onnx"]


@dataclass(frozen=True)
class Tf2Onnx:
    """A bare session, without any checks in front of it."""

    name: str = "tf2onnx"
    role: str = "peer"
    few: bool = False
    distributions: tuple[str, ...] = ("tf2onnx",)

    def prepare(self, subject: Subject) -> Bind:
        """Export, open."""
        session = open_session(subject.tf2onnx_file, subject.threads)
        names = [value.name for value in session.get_inputs()]

        def bind(arrays: list[Array]) -> Run:
            feeds = dict(zip(names, arrays, strict=True))
            return lambda: session.run(None, feeds)

        return bind
