from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rnnport
from rnnport.cli import quiet
from rnnport.cli.main import app
from rnnport.parity.report import ParityReport
from rnnport.spec import Check
from tests.backends import needs, providers
from tests.tiny import lstm_artifact


def test_a_good_artifact(lstm_folder: Path) -> None:
    result = CliRunner().invoke(app, ["verify", str(lstm_folder)])
    assert result.exit_code == 0, result.output
    assert "golden 2: B=2 T=5" in result.stdout
    assert "✓ tiny on cpu: all 2 checks passed" in result.stdout


def test_parity_failed_is_1(tmp_path: Path) -> None:
    lstm_artifact(tmp_path / "out", drift=1e-3)
    result = CliRunner().invoke(app, ["verify", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "✗ tiny on cpu: 2 of 2 checks failed" in result.stdout
    result = CliRunner().invoke(app, ["verify", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["passed"] is False


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["--provider", "gpu"], "UnknownProvider"),
        (["--report", "report.html"], "NotYetAvailable"),
    ],
)
def test_refusals_are_2(lstm_folder: Path, words: list[str], kind: str) -> None:
    result = CliRunner().invoke(app, ["verify", str(lstm_folder), "--json", *words])
    assert result.exit_code == 2, result.output
    assert json.loads(result.stdout)["kind"] == kind


@pytest.mark.parametrize("provider", providers("openvino", "reference", "web"))
def test_on_another_runtime(lstm_folder: Path, provider: str) -> None:
    result = CliRunner().invoke(app, ["verify", str(lstm_folder), "--provider", provider])
    assert result.exit_code == 0, result.output
    assert f"✓ tiny on {provider}: all 2 checks passed" in result.stdout


@needs("openvino")
def test_a_runtime_that_lacks_something_is_2(tmp_path: Path) -> None:
    folder = lstm_artifact(tmp_path / "out", lengths=True).path
    assert CliRunner().invoke(app, ["verify", str(folder)]).exit_code == 0
    words = ["verify", str(folder), "--provider", "openvino", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2, result.output
    answer = json.loads(result.stdout)
    assert answer["kind"] == "ProviderLacks"
    assert "LSTM: ignores sequence_lens without an error" in result.stdout


def test_a_model_is_handed_on(lstm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def verify(folder: Path, **options: object) -> ParityReport:
        seen.update(options, folder=folder)
        return ParityReport(
            "m", "cpu", (Check(name="c", output="y", error=0, bound=1, passed=True),)
        )

    monkeypatch.setattr(rnnport, "verify", verify)
    monkeypatch.setattr(quiet, "load_exporter", lambda: None)
    result = CliRunner().invoke(app, ["verify", str(lstm_folder), "--model", "m.keras"])
    assert result.exit_code == 0, result.output
    assert seen == {
        "folder": lstm_folder,
        "provider": "cpu",
        "model": Path("m.keras"),
        "report": None,
    }
