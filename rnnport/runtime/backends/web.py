"""onnxruntime-web's WebAssembly build under Node: the code that a browser runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from rnnport.errors import ProviderUnavailable
from rnnport.runtime.backends.base import Array, RunFailed, Value
from rnnport.runtime.backends.graph_nodes import graph_nodes
from rnnport.runtime.backends.onnxruntime import onnxruntime_lacks, open_refused
from rnnport.runtime.backends.web_process import WebProcess
from rnnport.spec import Lack

__all__ = ["FOLDER_VARIABLE", "WEB_VERSION", "Web", "WebSession"]

WEB_VERSION = "1.30.0"
"""Of onnxruntime-web, the one that rnnport is tested with."""

FOLDER_VARIABLE = "RNNPORT_NODE_MODULES"
"""Environment variable: the node_modules folder that holds it."""

_PACKAGE = "onnxruntime-web"
_ENTRY = Path("dist", "ort.wasm.min.mjs")


class Web:
    """The backend."""

    name = "web"
    target = "portable"

    def require(self) -> None:
        """Return where Node and onnxruntime-web are there.

        Raises:
            ProviderUnavailable: one of them is missing.
        """
        _node()
        _package()

    def lacks(self, path: Path) -> list[Lack]:
        """As onnxruntime_lacks: it is built with the same operators."""
        return onnxruntime_lacks(path)

    def open(
        self, path: Path, threads: int | None, *, arena: bool, spin: bool | None = None
    ) -> WebSession:
        """Open a graph; threads, arena and spin have no meaning here."""
        return WebSession(path)


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        raise ProviderUnavailable.of(
            "provider 'web'",
            "no program 'node' on the PATH",
            "Node 18 or later",
            "install Node from your system's packages",
        )
    return node


def _package() -> Path:
    """The package's folder: where the variable says, else in the first node_modules upwards."""
    for folder in _folders():
        package = folder / _PACKAGE
        if (package / _ENTRY).is_file():
            return package
    where = os.environ.get(FOLDER_VARIABLE)
    raise ProviderUnavailable.of(
        "provider 'web'",
        f"no {_PACKAGE} in {where or 'a node_modules folder here or above'}",
        f"npm's package {_PACKAGE}",
        f"npm install {_PACKAGE}@{WEB_VERSION}, here or in a folder whose node_modules "
        f"{FOLDER_VARIABLE} names",
    )


def _folders() -> Iterator[Path]:
    if where := os.environ.get(FOLDER_VARIABLE):
        yield Path(where)
        return
    here = Path.cwd()
    yield from (folder / "node_modules" for folder in (here, *here.parents))


def _version(package: Path) -> str:
    try:
        return str(json.loads((package / "package.json").read_bytes())["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return "of unknown version"


class WebSession:
    """A graph on one thread of a Node process of its own, which ends with the session.

    Args:
        path: the .onnx file; external data lies beside it.

    Raises:
        ProviderLacks: there is no kernel for an operator and its types.
        ArtifactDamaged: onnxruntime-web does not take the file.
    """

    def __init__(self, path: Path) -> None:
        graph, package = graph_nodes(path), _package()
        self._inputs, self._outputs = graph.inputs, graph.outputs
        self._runtime = f"{_PACKAGE} {_version(package)}"
        self._process = WebProcess(_node(), (package / _ENTRY).parent, self._runtime)
        try:
            self._process.ask({"model": str(path.resolve()), "data": _external(path)}, {})
        except RunFailed as error:
            self._process.close()
            newer = f"npm install {_PACKAGE}@{WEB_VERSION}, or export the model again"
            raise open_refused("web", path, str(error), newer) from error

    def get_inputs(self) -> list[Value]:
        """The inputs."""
        return self._inputs

    def get_outputs(self) -> list[Value]:
        """The outputs."""
        return self._outputs

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Array]) -> list[Array]:
        """Run once; see Session.

        Raises:
            RunFailed: onnxruntime-web refused, or the process is gone.
        """
        wanted = [v.name for v in self._outputs] if names is None else list(names)
        arrays = {name: np.asarray(array, order="C") for name, array in feeds.items()}
        _, found = self._process.ask({"outputs": wanted}, arrays)
        return found

    def close(self) -> None:
        """End the process now."""
        self._process.close()


def _external(path: Path) -> dict[str, str] | None:
    """The file of weights that export writes beside a large graph."""
    data = path.with_name(path.name + ".data")
    return {"name": data.name, "path": str(data.resolve())} if data.is_file() else None
