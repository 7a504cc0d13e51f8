"""The walls between the rooms: who may import what."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rnnport

HOUSE = Path(rnnport.__file__).parent
MAKERS = {"tensorflow", "keras", "tf_keras", "tf2onnx", "h5py", "onnx", "onnx_ir", "onnxscript"}
RUNNERS = {"onnxruntime", "openvino"}
TERMINAL = {"typer", "rich"}
FORBIDDEN = {
    "runtime": MAKERS | TERMINAL,
    "parity": MAKERS | {"typer", "onnxruntime"},
    "parity/html": MAKERS | RUNNERS | TERMINAL,
    "testing.py": MAKERS | RUNNERS | TERMINAL,
    "pytest_plugin.py": MAKERS | RUNNERS | TERMINAL,
    "cli": MAKERS | RUNNERS,
    "artifact": MAKERS | RUNNERS | TERMINAL,
    "spec.py": MAKERS | RUNNERS | TERMINAL,
    "samples.py": MAKERS | RUNNERS | TERMINAL,
    "npz.py": MAKERS | RUNNERS | TERMINAL,
    "progress.py": MAKERS | RUNNERS | TERMINAL,
    "errors.py": MAKERS | RUNNERS | TERMINAL,
    "graph": {"tensorflow", "keras", "tf_keras", "tf2onnx", "h5py"} | RUNNERS | TERMINAL,
    "capture": RUNNERS | TERMINAL,
}
# Rooms that must not reach into those that need TensorFlow, even through rnnport itself.
CLOSED = {"rnnport.capture", "rnnport.graph", "rnnport.exporting"}
LIGHT = (
    "runtime",
    "parity",
    "cli",
    "artifact",
    "spec.py",
    "samples.py",
    "npz.py",
    "progress.py",
    "errors.py",
)


def files(room: str) -> list[Path]:
    path = HOUSE / room
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module imported anywhere in a file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", FORBIDDEN)
def test_no_room_imports_what_is_not_its_own(room: str) -> None:
    assert files(room)
    for path in files(room):
        foreign = {name.split(".")[0] for name in imports(path)} & FORBIDDEN[room]
        if path.parent.name == "backends" and path.name.startswith("reference"):
            foreign.discard("onnx")
        assert not foreign, f"{path.relative_to(HOUSE)} imports {sorted(foreign)}"


@pytest.mark.parametrize("room", LIGHT)
def test_rooms_that_run_artifacts_do_not_import_those_that_make_them(room: str) -> None:
    for path in files(room):
        makers = {n for n in imports(path) if any(n == c or n.startswith(f"{c}.") for c in CLOSED)}
        assert not makers, f"{path.relative_to(HOUSE)} imports {sorted(makers)}"


WITHOUT_TENSORFLOW = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import numpy as np
import rnnport

folder = sys.argv[1]
y = rnnport.load(folder, provider="cpu").run(np.ones((2, 5, 3), np.float32))
assert y.shape == (2, 5, 4)
assert rnnport.verify(folder).passed
from rnnport.cli.main import app
app(["inspect", folder])
"""


def test_an_install_without_tensorflow_loads_runs_and_verifies(lstm_folder: Path) -> None:
    code = WITHOUT_TENSORFLOW.format(names=sorted(MAKERS))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(lstm_folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "recurrent layers" in done.stdout
    assert done.stderr == ""
