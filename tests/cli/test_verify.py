from __future__ import annotations

import json
import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

import rnnport
from rnnport.cli import quiet
from rnnport.cli.main import app
from rnnport.parity.report import ParityReport
from rnnport.spec import Check
from tests.backends import needs, providers
from tests.parity import reports
from tests.tiny import lstm_artifact


def test_a_good_artifact(lstm_folder: Path) -> None:
    result = CliRunner().invoke(app, ["verify", str(lstm_folder)])
    assert result.exit_code == 0, result.output
    assert "✓ tiny on cpu: all 16 checks passed" in result.stdout
    assert "golden 2: B=2 T=5" not in result.stdout
    result = CliRunner().invoke(app, ["verify", str(lstm_folder), "--all"])
    assert "golden 2: B=2 T=5" in result.stdout


def test_parity_failed_is_1(tmp_path: Path) -> None:
    lstm_artifact(tmp_path / "out", drift=1e-3)
    result = CliRunner().invoke(app, ["verify", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "✗ tiny on cpu: 2 of 16 checks failed" in result.stdout
    result = CliRunner().invoke(app, ["verify", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["passed"] is False


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["--provider", "gpu"], "UnknownProvider"),
        (["--report", "report.pdf"], "UsageError"),
        (["--junit", "none/parity.xml"], "UsageError"),
    ],
)
def test_refusals_are_2(lstm_folder: Path, words: list[str], kind: str) -> None:
    result = CliRunner().invoke(app, ["verify", str(lstm_folder), "--json", *words])
    assert result.exit_code == 2, result.output
    assert json.loads(result.stdout)["kind"] == kind


@pytest.mark.parametrize("drift", [0.0, 1e-3])
def test_report_and_junit_are_written_whatever_came_out(tmp_path: Path, drift: float) -> None:
    lstm_artifact(tmp_path / "out", drift=drift)
    page, xml = tmp_path / "report.html", tmp_path / "parity.xml"
    words = ["verify", str(tmp_path / "out"), "--report", str(page), "--junit", str(xml)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == (1 if drift else 0), result.output
    assert result.stdout.splitlines()[-2:] == [f"written: {page}", f"written: {xml}"]
    told = "2 of 16 checks failed" if drift else "All 16 checks passed"
    assert told in page.read_text("utf-8")
    assert ET.parse(xml).getroot().get("failures") == ("2" if drift else "0")


def test_a_path_that_cannot_be_meant_is_refused_before_the_work(
    lstm_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded() -> None:
        raise AssertionError("TensorFlow was loaded")

    monkeypatch.setattr(quiet, "load_exporter", loaded)
    words = ["verify", str(lstm_folder), "--model", "m.keras", "--report", "r.txt"]
    assert CliRunner().invoke(app, words).exit_code == 2


def test_the_command_of_a_report_does_it_again(tmp_path: Path) -> None:
    lstm_artifact(tmp_path / "out", drift=1e-3)
    words = ["verify", str(tmp_path / "out"), "--json", "--seed", "7", "--check", "shapes"]
    first = json.loads(CliRunner().invoke(app, words).stdout)
    assert {check["kind"] for check in first["checks"]} == {"shapes"}
    again = shlex.split(first["command"])
    assert again[0] == "rnnport"
    second = json.loads(CliRunner().invoke(app, [*again[1:], "--json"]).stdout)
    assert second["checks"] == first["checks"]
    assert second["command"] == first["command"]


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_cannot_run_is_2(
    lstm_folder: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rnnport, "verify", lambda *args, **options: reports.lacking())
    result = CliRunner().invoke(app, ["verify", str(lstm_folder), *words])
    assert result.exit_code == 2, result.output
    assert "ignores sequence_lens without an error" in result.stdout
    if words:
        assert json.loads(result.stdout) == reports.lacking().to_dict()


@pytest.mark.parametrize("provider", providers("openvino", "reference", "web"))
def test_on_another_runtime(lstm_folder: Path, provider: str) -> None:
    result = CliRunner().invoke(app, ["verify", str(lstm_folder), "--provider", provider])
    assert result.exit_code == 0, result.output
    assert f"✓ tiny on {provider}: all " in result.stdout


@needs("openvino")
def test_a_runtime_that_lacks_something_is_2(tmp_path: Path) -> None:
    folder = lstm_artifact(tmp_path / "out", lengths=True).path
    assert CliRunner().invoke(app, ["verify", str(folder)]).exit_code == 0
    words = ["verify", str(folder), "--provider", "openvino", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2, result.output
    answer = json.loads(result.stdout)
    assert (answer["passed"], answer["checks"]) == (False, [])
    lack = {"form": "model", "op": "LSTM", "reason": "ignores sequence_lens without an error"}
    assert answer["lacks"] == [lack]


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
    assert callable(seen.pop("progress"))
    assert seen == {
        "folder": lstm_folder,
        "provider": "cpu",
        "model": Path("m.keras"),
        "report": None,
        "seed": 0,
        "checks": None,
    }
