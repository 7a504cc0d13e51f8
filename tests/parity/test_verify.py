from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from rnnport.artifact.golden import GoldenCase
from rnnport.artifact.load import Artifact, open_artifact
from rnnport.errors import ArtifactDamaged, ProviderUnavailable, UsageError
from rnnport.parity.verify import check_golden, verify
from rnnport.runtime.backends import cuda
from rnnport.runtime.cuda_probe import Probe
from tests.tiny import lstm_artifact, lstm_model


class Model:
    """Stands in for the Keras model: onnxruntime, off by so much."""

    def __init__(self, off: float = 0.0) -> None:
        self.session = ort.InferenceSession(
            lstm_model().SerializeToString(), providers=["CPUExecutionProvider"]
        )
        self.off, self.seen = off, list[tuple[int, ...]]()

    def __call__(self, inputs: dict[str, Any]) -> Sequence[np.ndarray]:
        self.seen.append(inputs["x"].shape)
        return [output + np.float32(self.off) for output in self.session.run(None, inputs)]


def test_golden_samples_alone(lstm_folder: Path) -> None:
    report = verify(lstm_folder)
    assert report.passed
    assert (report.name, report.provider) == ("tiny", "cpu")
    assert [check.name for check in report.checks] == ["golden 1: B=4 T=11", "golden 2: B=2 T=5"]
    assert {check.bound for check in report.checks} == {1e-5}


def test_golden_samples_that_differ(tmp_path: Path) -> None:
    report = verify(lstm_artifact(tmp_path / "out", drift=1e-3))
    assert not report.passed
    assert report.worst is not None
    assert report.worst.error == pytest.approx(1e-3, rel=1e-3)


def test_whole_numbers_and_dicts(pair: Artifact) -> None:
    report = verify(pair)
    assert report.passed
    assert {check.output for check in report.checks} == {"sum/out:0", "twice"}


def test_a_live_model_is_compared_at_sizes_and_masks_golden_has_not(lstm_folder: Path) -> None:
    model = Model()
    report = verify(lstm_folder, reference=model)
    assert report.passed
    assert len(report.checks) == 2 + 15
    assert not {shape[1] for shape in model.seen} & {11, 5}
    assert any("empty row mask" in check.name for check in report.checks)


def test_a_live_model_that_differs(lstm_folder: Path) -> None:
    report = verify(lstm_folder, reference=Model(off=1e-3))
    assert [check.passed for check in report.checks] == [True] * 2 + [False] * 15


def test_a_live_model_that_fails_is_a_failed_check(lstm_folder: Path) -> None:
    def broken(inputs: dict[str, Any]) -> Sequence[np.ndarray]:
        raise ValueError("kernel longer\nthan input")

    report = verify(lstm_folder, reference=broken)
    assert report.checks[-1].note == ("nothing was compared: ValueError: kernel longer than input")


def test_another_model_is_refused(lstm_folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        verify(lstm_folder, reference=lambda inputs: [inputs["x"], inputs["x"]])
    assert str(caught.value) == (
        "model | received: 2 outputs | expected: 1 outputs: y | "
        "remedy: pass the model this artifact was exported from"
    )


def test_a_runtime_that_fails_is_a_failed_check() -> None:
    def broken(inputs: Any) -> Any:
        raise RuntimeError("out of memory")

    case = GoldenCase("B=1", {"x": np.zeros(1)}, {"y": np.arange(3.0)})
    (found,) = check_golden([case], broken, ["y"], 1e-5)
    assert (found.name, found.passed) == ("golden 1: B=1", False)
    assert found.note == "nothing was compared: RuntimeError: out of memory"
    assert not check_golden([], broken, ["y"], 1e-5)[0].passed


def test_refusals_come_through(
    lstm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda, "probe_cuda", lambda: Probe(False, "a", "b", "c"))
    with pytest.raises(ProviderUnavailable):
        verify(open_artifact(lstm_folder), provider="cuda")
    with pytest.raises(ArtifactDamaged):
        verify(tmp_path)
