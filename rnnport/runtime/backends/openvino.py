"""OpenVINO on the CPU, in float32."""

from __future__ import annotations

import functools
import importlib.util
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnport.errors import ProviderLacks, ProviderUnavailable
from rnnport.runtime.backends.base import Array, RunFailed, Value
from rnnport.runtime.backends.graph_nodes import graph_nodes
from rnnport.runtime.backends.openvino_ids import id_bounds, out_of_range
from rnnport.runtime.backends.openvino_lacks import last_words, openvino_lacks
from rnnport.spec import Lack

__all__ = ["OpenVino", "OpenVinoSession"]


class OpenVino:
    """The backend."""

    name = "openvino"
    target = "openvino"

    def require(self) -> None:
        """Return where OpenVINO is installed.

        Raises:
            ProviderUnavailable: it is not.
        """
        if importlib.util.find_spec("openvino") is None:
            raise ProviderUnavailable.of(
                "provider 'openvino'",
                "no package openvino",
                "OpenVINO 2025.0 or later",
                "pip install 'rnnport[openvino]'",
            )

    def lacks(self, path: Path) -> list[Lack]:
        """As openvino_lacks."""
        self.require()
        return openvino_lacks(path, _core())

    def open(
        self, path: Path, threads: int | None, *, arena: bool, spin: bool | None = None
    ) -> OpenVinoSession:
        """Open a graph; arena and spin have no meaning here."""
        self.require()
        return OpenVinoSession(path, threads)


@functools.cache
def _core() -> Any:
    import openvino

    return openvino.Core()


def _runtime() -> str:
    import openvino

    return f"OpenVINO {openvino.__version__.split('-')[0]}"


class OpenVinoSession:
    """A compiled graph.

    Args:
        path: the .onnx file; external data lies beside it.
        threads: None leaves the choice to OpenVINO.

    Raises:
        ProviderLacks: OpenVINO does not compile it.
    """

    def __init__(self, path: Path, threads: int | None) -> None:
        self._runtime = _runtime()
        graph = graph_nodes(path)
        self._inputs, self._outputs = graph.inputs, graph.outputs
        # Without the hint it computes in bfloat16 where the CPU can.
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        try:
            model = _core().read_model(str(path))
            self._bounds = id_bounds(model)
            self._compiled = _core().compile_model(model, "CPU", options)
        except Exception as error:
            raise ProviderLacks.of(
                f"provider 'openvino', {path.name}",
                f"{self._runtime}: {last_words(error)}",
                "a graph that OpenVINO compiles",
                "export the model with target='openvino', or choose another provider",
            ) from error
        self._lock = threading.Lock()
        self._idle: list[Any] = []

    def get_inputs(self) -> list[Value]:
        """The inputs."""
        return self._inputs

    def get_outputs(self) -> list[Value]:
        """The outputs."""
        return self._outputs

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Array]) -> list[Array]:
        """Run once; see Session.

        Raises:
            RunFailed: names, dtypes or ids do not fit, or OpenVINO refused.
        """
        arrays = self._checked(feeds)
        wanted = [v.name for v in self._outputs] if names is None else list(names)
        dtypes = {value.name: value.dtype for value in self._outputs}
        with self._lock:
            request = self._idle.pop() if self._idle else None
        try:
            request = request or self._compiled.create_infer_request()
            request.infer(arrays, share_inputs=True)
            found = [np.array(request.get_tensor(n).data, dtype=dtypes[n]) for n in wanted]
        except Exception as error:
            raise RunFailed(self._runtime, last_words(error)) from error
        with self._lock:
            self._idle.append(request)
        return found

    def _checked(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        known = {value.name: value.dtype for value in self._inputs}
        if set(feeds) != set(known):
            detail = f"inputs {sorted(feeds)}, where it takes {list(known)}"
            raise RunFailed(self._runtime, detail)
        arrays = {name: np.asarray(feeds[name], order="C") for name in known}
        for name, array in arrays.items():
            if array.dtype != known[name]:
                detail = f"input {name!r} as {array.dtype}, where it takes {known[name]}"
                raise RunFailed(self._runtime, detail)
        if detail := out_of_range(self._bounds, arrays):
            raise RunFailed(self._runtime, detail)
        return arrays
