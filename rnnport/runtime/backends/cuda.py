"""onnxruntime on an NVIDIA GPU; operators without a CUDA kernel run on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnport.errors import ProviderUnavailable
from rnnport.runtime.backends.graph_nodes import graph_nodes
from rnnport.runtime.backends.onnxruntime import onnxruntime_lacks, open_onnxruntime
from rnnport.runtime.cuda_probe import probe_cuda
from rnnport.spec import Lack

__all__ = ["Cuda"]


class Cuda:
    """The backend."""

    name = "cuda"
    target = "cuda"

    def require(self) -> None:
        """Return where a small LSTM runs on CUDA.

        Raises:
            ProviderUnavailable: it does not; names the step that failed.
        """
        probe = probe_cuda()
        if not probe.works:
            raise ProviderUnavailable.of(
                "provider 'cuda'",
                f"{probe.step} failed: {probe.detail}",
                "an NVIDIA GPU, its driver, CUDA 13 and cuDNN 9 that run a small LSTM",
                probe.remedy,
            )

    def lacks(self, path: Path) -> list[Lack]:
        """As on the CPU, and lengths read backwards.

        onnxruntime's kernels reverse the whole padded row, whatever its length (by their source).
        """
        found = onnxruntime_lacks(path)
        for node in graph_nodes(path).nodes:
            recurrent = node.domain == "" and node.op in ("LSTM", "GRU", "RNN")
            backwards = node.attributes.get("direction", "forward") != "forward"
            if recurrent and backwards and node.has(4):
                reason = "its CUDA kernel ignores sequence_lens where it reads backwards"
                found.append(Lack(form=path.stem, op=node.op, reason=reason))
        return list(dict.fromkeys(found))

    def open(
        self, path: Path, threads: int | None, *, arena: bool, spin: bool | None = None
    ) -> Any:
        """As open_onnxruntime.

        Raises:
            ProviderUnavailable: CUDA works, but not for this session.
        """
        session = open_onnxruntime(path, "cuda", threads, arena=arena, spin=spin)
        if "CUDAExecutionProvider" not in session.get_providers():
            raise ProviderUnavailable.of(
                "provider 'cuda'",
                "onnxruntime opened the model on the CPU",
                "a session on CUDA",
                "check that the GPU has free memory",
            )
        return session
