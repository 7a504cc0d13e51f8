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
from rnnport.parity.checks.golden import check_golden
from rnnport.parity.verify import verify
from rnnport.runtime.backends import cuda
from rnnport.runtime.cuda_probe import Probe
from tests.tiny import lstm_artifact, lstm_model
from tests.tiny_streams import GRAPHS, stream_artifact


class Model:
    """Stands in for the Keras model: onnxruntime, off by so much."""

    def __init__(self, off: float = 0.0) -> None:
        self.session = ort.InferenceSession(
            lstm_model().SerializeToString(), providers=["CPUExecutionProvider"]
        )
        self.off, self.seen, self.sums = off, list[tuple[int, ...]](), list[float]()

    def __call__(self, inputs: dict[str, Any]) -> Sequence[np.ndarray]:
        self.seen.append(inputs["x"].shape)
        self.sums.append(float(inputs["x"].sum()))
        return [output + np.float32(self.off) for output in self.session.run(None, inputs)]


def test_every_question_that_applies_is_asked(lstm_folder: Path) -> None:
    report = verify(lstm_folder)
    assert report.passed, report.failures
    assert (report.name, report.provider) == ("tiny", "cpu")
    kinds = {check.kind for check in report.checks}
    assert kinds == {"shapes", "axes", "isolation", "determinism", "structure"}
    golden = [check for check in report.checks if check.kind == "shapes"]
    assert [check.name for check in golden] == ["golden 1: B=4 T=11", "golden 2: B=2 T=5"]
    assert {check.bound for check in golden} == {1e-5}
    assert report.seconds > 0
    assert report.command == f"rnnport verify {lstm_folder} --provider cpu --seed 0"
    assert report.forms["model"].op_counts["LSTM"] == 1
    assert {"rnnport", "numpy", "python"} <= set(report.versions["here"])
    assert set(report.machine) == {"processor", "cores", "system"}


def test_a_stream_is_asked_too(tmp_path: Path) -> None:
    artifact = stream_artifact(tmp_path / "out", GRAPHS["lstm"]())
    report = verify(artifact, kinds=["streaming", "round trip"])
    assert report.passed, report.failures
    assert {check.name for check in report.checks if check.kind == "round trip"} == {
        "a snapshot restored",
        "states read and assigned",
    }
    assert sum(check.kind == "streaming" for check in report.checks) == 2
    assert report.command.endswith("--seed 0 --check streaming --check 'round trip'")


def test_only_what_is_asked(lstm_folder: Path) -> None:
    report = verify(lstm_folder, kinds=["axes"], seed=3)
    assert [check.name for check in report.checks] == ["axis B, T=7 B=10", "axis T, T=20 B=3"]
    other = verify(lstm_folder, kinds=["axes"], seed=3)
    assert [c.error for c in other.checks] == [c.error for c in report.checks]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        (
            {"kinds": ["speed", "axes"]},
            "checks | received: speed | expected: some of shapes, masks, scale, drift, fresh, axes,"
            " isolation, determinism, structure, streaming, round trip, hand-off, generation,"
            " accuracy, precision | remedy: leave it out to ask all",
        ),
        (
            {"seed": -1},
            "seed | received: -1 | expected: a whole number from 0 up | remedy: leave it out",
        ),
        (
            {"seed": True},
            "seed | received: True | expected: a whole number from 0 up | remedy: leave it out",
        ),
    ],
)
def test_questions_nobody_knows_are_refused(
    lstm_folder: Path, keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        verify(lstm_folder, **keywords)
    assert str(caught.value) == message


def test_golden_samples_that_differ(tmp_path: Path) -> None:
    report = verify(lstm_artifact(tmp_path / "out", drift=1e-3))
    assert {check.kind for check in report.failures} == {"shapes"}
    assert report.worst is not None
    assert report.worst.error == pytest.approx(1e-3, rel=1e-3)
    assert report.failures[0].start.startswith("step 1 of 11, worst at [")


def test_whole_numbers_and_dicts(pair: Artifact) -> None:
    report = verify(pair)
    assert report.passed, report.failures
    golden = {check.output for check in report.checks if check.kind == "shapes"}
    assert golden == {"sum/out:0", "twice"}


def test_a_live_model_is_compared_at_sizes_and_masks_golden_has_not(lstm_folder: Path) -> None:
    model = Model()
    report = verify(lstm_folder, reference=model)
    assert report.passed
    assert sum(check.kind == "fresh" for check in report.checks) == 15
    assert not {shape[1] for shape in model.seen} & {11, 5}
    assert any("empty row mask" in check.name for check in report.checks)


def test_another_seed_draws_other_values(lstm_folder: Path) -> None:
    models = Model(), Model()
    for seed, model in enumerate(models):
        assert verify(lstm_folder, reference=model, kinds=["fresh"], seed=seed).passed
    one, other = (model.sums for model in models)
    assert len(one) == len(other) == 15
    # All rows masked with zeros.
    assert set(one) & set(other) == {0.0}


def test_a_live_model_that_differs(lstm_folder: Path) -> None:
    report = verify(lstm_folder, reference=Model(off=1e-3))
    assert {check.kind for check in report.failures} == {"fresh"}
    assert len(report.failures) == 15


def test_a_live_model_that_fails_is_a_failed_check(lstm_folder: Path) -> None:
    def broken(inputs: dict[str, Any]) -> Sequence[np.ndarray]:
        raise ValueError("kernel longer\nthan input")

    report = verify(lstm_folder, reference=broken, kinds=["fresh"])
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
