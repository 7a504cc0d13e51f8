"""Claims of the manifest that do not hold, and runtimes that do not hold still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest

from rnnport.artifact.golden import read_golden
from rnnport.artifact.load import Artifact, open_artifact
from rnnport.artifact.manifest import MANIFEST_FILE, encode, record
from rnnport.parity.checks.axes import check_axes
from rnnport.parity.checks.determinism import check_determinism
from rnnport.parity.checks.round_trip import check_round_trip
from rnnport.parity.checks.structure import check_structure
from rnnport.parity.subject import Subject
from rnnport.runtime.runner import load
from rnnport.runtime.stepper import Stepper
from rnnport.spec import Manifest
from tests.tiny import lstm_artifact
from tests.tiny_streams import GRAPHS, stream_artifact


def subject(artifact: Artifact) -> Subject:
    golden = read_golden(artifact.path / artifact.manifest.golden.file)
    return Subject(artifact, load(artifact, provider="cpu"), golden)


def claiming(artifact: Artifact, change: Callable[[Manifest], Manifest]) -> Artifact:
    """The same files under another manifest."""
    manifest = change(artifact.manifest)
    (artifact.path / MANIFEST_FILE).write_bytes(encode(manifest))
    return open_artifact(artifact.path)


def with_model(manifest: Manifest, **changes: Any) -> Manifest:
    model = msgspec.structs.replace(manifest.forms["model"], **changes)
    return msgspec.structs.replace(manifest, forms={**manifest.forms, "model": model})


def test_axes_as_claimed(lstm_folder: Path, tmp_path: Path) -> None:
    checks = check_axes(subject(lstm_artifact(tmp_path / "out")))
    assert [(check.name, check.passed) for check in checks] == [
        ("axis B, T=7 B=10", True),
        ("axis T, T=20 B=3", True),
    ]


def test_an_output_that_does_not_grow_as_claimed(tmp_path: Path) -> None:
    artifact = lstm_artifact(tmp_path / "out")
    (y,) = artifact.manifest.forms["model"].outputs
    wrong = msgspec.structs.replace(y, shape=["T", "B", 4])
    lying = claiming(artifact, lambda m: with_model(m, outputs=[wrong]))
    checks = check_axes(subject(lying))
    assert [check.error for check in checks] == [2.0, 2.0]
    assert checks[0].note == "axis 0 of y is 10, not 7; axis 1 of y is 7, not 10"
    assert not any(check.passed for check in checks)


def test_operators_that_came_or_went_are_named(tmp_path: Path) -> None:
    artifact = lstm_artifact(tmp_path / "out")
    assert all(check.passed for check in check_structure(subject(artifact)))
    lying = claiming(artifact, lambda m: with_model(m, op_counts={"GRU": 1, "Transpose": 2}))
    failed = [check for check in check_structure(subject(lying)) if not check.passed]
    assert [(check.name, check.note) for check in failed] == [
        ("model.onnx has the operators exported", "0 GRU, not 1; 1 LSTM, not 0; 1 Squeeze, not 0")
    ]


def test_a_layer_that_lost_its_kernel_is_named(tmp_path: Path) -> None:
    artifact = lstm_artifact(tmp_path / "out")

    def claim(manifest: Manifest) -> Manifest:
        layers = [msgspec.structs.replace(layer, lowering="GRU") for layer in manifest.layers]
        return msgspec.structs.replace(manifest, layers=layers[:1])

    failed = [c for c in check_structure(subject(claiming(artifact, claim))) if not c.passed]
    assert [check.note for check in failed] == ["layer 'lstm' should be GRU, and there is none"]


def test_a_loop_that_nobody_reported_is_counted(tmp_path: Path) -> None:
    artifact = lstm_artifact(tmp_path / "out")
    path = artifact.forms["model"]
    model = onnx.load(path)
    body = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Identity", ["go"], ["again"]),
            onnx.helper.make_node("Identity", ["i"], ["seen"]),
        ],
        "body",
        [
            onnx.helper.make_tensor_value_info("i", onnx.TensorProto.INT64, []),
            onnx.helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
        ],
        [
            onnx.helper.make_tensor_value_info("again", onnx.TensorProto.BOOL, []),
            onnx.helper.make_tensor_value_info("seen", onnx.TensorProto.INT64, []),
        ],
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(1), "trips"))
    model.graph.node.append(onnx.helper.make_node("Loop", ["trips", ""], ["counted"], body=body))
    onnx.save(model, path)
    changed = claiming(artifact, lambda m: with_model(m, record=record(path)))
    failed = {c.name: c.note for c in check_structure(subject(changed)) if not c.passed}
    assert failed["model.onnx has no Loop"] == "1 of its nodes are Loop"


@dataclass(frozen=True)
class Wavering:
    """A runner that never says the same twice."""

    runner: Any
    rng: np.random.Generator

    def __getattr__(self, name: str) -> Any:
        return getattr(self.runner, name)

    def run_named(self, inputs: Any) -> Any:
        found = self.runner.run_named(inputs)
        return {n: y + np.float32(1e-7) * np.float32(self.rng.random()) for n, y in found.items()}


def test_a_runtime_that_wavers_by_one_bit_is_found(tmp_path: Path) -> None:
    steady = subject(lstm_artifact(tmp_path / "out"))
    assert all(check.passed for check in check_determinism(steady))
    wavering: Any = Wavering(steady.runner, np.random.default_rng(0))
    moved = Subject(steady.artifact, wavering, steady.golden)
    (twice, _) = check_determinism(moved)
    assert (twice.name, twice.passed, twice.bound) == ("the same run twice", False, 0.0)


@pytest.mark.parametrize("name", ["lstm", "speaker", "started", "counter", "one_step"])
def test_streams_go_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    found = subject(stream_artifact(tmp_path / "out", GRAPHS[name]()))
    checks = check_round_trip(found)
    assert checks
    assert all(check.passed and check.bound == 0.0 for check in checks), checks


def test_a_state_that_is_lost_on_the_way_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(self: Stepper, blob: bytes) -> None:
        """Restores nothing."""

    found = subject(stream_artifact(tmp_path / "out", GRAPHS["lstm"]()))
    monkeypatch.setattr(Stepper, "restore", forgetful)
    verdicts = {check.name: check.passed for check in check_round_trip(found)}
    assert verdicts == {"a snapshot restored": False, "states read and assigned": True}
