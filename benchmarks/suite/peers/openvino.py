"""OpenVINO on the CPU in float32, over what tf2onnx makes of the model and over rnnport's graph.

Its own converter refuses Keras's recurrent layers (no rule for TensorList), so tf2onnx's export is
what it can be given without rnnport.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from suite.peers.base import Bind, CannotRun, Run
from suite.subject import Array, Subject

__all__ = ["OpenVino"]


@dataclass(frozen=True)
class OpenVino:
    """One source of graphs.

    Attributes:
        ours: whether it is rnnport's graph, target "portable".
    """

    ours: bool
    role: str = "peer"
    few: bool = False
    distributions: tuple[str, ...] = ("openvino",)

    @property
    def name(self) -> str:
        """The source is told where it is rnnport."""
        return "OpenVINO on rnnport's graph" if self.ours else "OpenVINO"

    def prepare(self, subject: Subject) -> Bind:
        """Compile once; float32, since bfloat16 is OpenVINO's choice where the processor has it."""
        try:
            import openvino
        except ModuleNotFoundError as error:
            raise CannotRun("openvino is not installed") from error
        path = self._file(subject)
        hints = {
            "INFERENCE_NUM_THREADS": subject.threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            compiled = openvino.compile_model(path, "CPU", hints)
        except RuntimeError as error:
            said = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
            raise CannotRun(f"refuses {path.name}: {said[-1][:120]}") from error

        def bind(arrays: list[Array]) -> Run:
            request = compiled.create_infer_request()
            outputs = range(len(compiled.outputs))

            def run() -> list[Array]:
                found = request.infer(arrays, share_inputs=True)
                return [found[i] for i in outputs]

            return run

        return bind

    def _file(self, subject: Subject) -> Path:
        if self.ours:
            return subject.artifact("portable").forms["model"]
        return subject.tf2onnx_file
