from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.cli import quiet
from rnnport.cli.main import app
from rnnport.errors import ParityError
from rnnport.spec import FixedAxis
from tests.tiny import lstm_artifact

Seen = dict[str, Any]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Seen:
    """rnnport.export writes a small artifact instead, and notes how it was called.

    The working folder holds a file m.keras that looks like a model from outside.
    """
    calls: Seen = {}
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("m.keras", "w") as archive:
        archive.writestr("config.json", "{}")

    def export(
        model: Path,
        out: Path,
        *,
        overwrite: bool,
        progress: Callable[[str, float], None],
        **rest: Any,
    ) -> Artifact:
        calls.update(rest, model=model)
        progress("tracing", 0.3)
        progress("saving", 0.9)
        fixed = FixedAxis(input="x", axis=2, size=3, layer="flatten", reason="it joins axes")
        return lstm_artifact(out, overwrite=overwrite, fixed_axes=[fixed])

    monkeypatch.setattr(rnnport, "export", export)
    monkeypatch.setattr(quiet, "load_exporter", lambda: None)
    return calls


def test_options_are_handed_on(seen: Seen, tmp_path: Path) -> None:
    words = ["export", "m.keras", "-o", str(tmp_path / "out"), "--name", "n", "--target", "cpu"]
    result = CliRunner().invoke(app, [*words, "--no-verify"])
    assert result.exit_code == 0, result.output
    assert seen == {
        "model": Path("m.keras"),
        "name": "n",
        "source_format": None,
        "target": "cpu",
        "precision": "float32",
        "opset": 18,
        "verify": False,
        "decoder_inputs": None,
        "generate": None,
    }


def test_what_generate_shall_do(seen: Seen, tmp_path: Path) -> None:
    words = ["export", "m.keras", "-o", str(tmp_path / "out"), "--decoder-input", "target"]
    words += ["--start", "1", "--stop", "2", "--stop", "5", "--max-steps", "9"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert seen["decoder_inputs"] == ["target"]
    assert seen["generate"] == rnnport.Generate(start=1, stop=[2, 5], max_steps=9)


def test_two_models_are_handed_on(seen: Seen, tmp_path: Path) -> None:
    words = ["export", "-o", str(tmp_path / "out"), "--encoder", "m.keras", "--decoder", "m.keras"]
    result = CliRunner().invoke(app, [*words, "--state", "h=next", "--state", "c=c=d"])
    assert result.exit_code == 0, result.output
    assert seen["model"] is None
    assert (seen["encoder"], seen["decoder"]) == (Path("m.keras"), Path("m.keras"))
    assert seen["states"] == {"h": "next", "c": "c=d"}


@pytest.mark.parametrize(
    ("words", "received"),
    [
        ([], "nothing"),
        (["--encoder", "m.keras"], "--encoder"),
        (["m.keras", "--decoder", "m.keras"], "MODEL, --decoder"),
        (["m.keras", "--state", "a=b"], "MODEL, --state"),
        (["--encoder", "m.keras", "--decoder", "m.keras", "--state", "a"], "a"),
    ],
)
def test_neither_one_model_nor_two(
    words: list[str], received: str, seen: Seen, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, ["export", *words, "-o", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 2
    (reason,) = json.loads(result.stdout)["error"]
    assert reason["received"] == received
    assert not seen


def test_beams(seen: Seen, tmp_path: Path) -> None:
    words = ["export", "m.keras", "-o", str(tmp_path / "out"), "--start", "1", "--stop", "2"]
    words += ["--max-steps", "9", "--beam-width", "4", "--length-penalty", "0.6"]
    words += ["--scores", "y"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert seen["generate"] == rnnport.Generate(
        start=1, stop=[2], max_steps=9, beam_width=4, length_penalty=0.6, output="y"
    )


@pytest.mark.parametrize(
    "words", [["--beam-width", "4"], ["--length-penalty", "0.5"], ["--scores", "y"]]
)
def test_beams_of_nothing(words: list[str], seen: Seen, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", "m.keras", "-o", str(tmp_path / "o"), *words])
    assert result.exit_code == 2
    assert "no --start, --stop, --max-steps" in result.stderr + result.stdout
    assert not seen


def test_half_of_what_generate_needs(seen: Seen, tmp_path: Path) -> None:
    words = ["export", "m.keras", "-o", str(tmp_path / "out"), "--start", "1", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "no --stop, --max-steps" in result.stderr + result.stdout
    assert not seen


def test_the_summary(seen: Seen, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", "m.keras", "-o", str(tmp_path / "out")])
    shown = " ".join(result.stdout.split())
    for part in (
        "✓ tiny →",
        "model.onnx 716 bytes",
        "lstm LSTM 4 LSTM",
        "the one check passed, worst error 2.0e-07 (bound 1.0e-05)",
        "x, axis 2 = 3 (layer flatten): it joins axes",
        "• made for a test",
    ):
        assert part in shown, part


def test_json(seen: Seen, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", "m.keras", "-o", str(tmp_path / "out"), "--json"])
    found = json.loads(result.stdout)
    assert result.stderr == ""
    assert (found["path"], found["name"]) == (str(tmp_path / "out"), "tiny")
    assert found["seconds"] >= 0


def test_a_full_folder_is_2_and_overwrite_replaces_it(seen: Seen, tmp_path: Path) -> None:
    words = ["export", "m.keras", "-o", str(tmp_path / "out"), "--json"]
    assert CliRunner().invoke(app, words).exit_code == 0
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert json.loads(result.stdout)["kind"] == "ArtifactExists"
    assert CliRunner().invoke(app, [*words, "--overwrite"]).exit_code == 0


def test_parity_failed_is_1(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    def export(*_: Any, **__: Any) -> Artifact:
        raise ParityError.of("model 'm'", "a difference of 0.1", "at most 1e-05", "report it")

    monkeypatch.setattr(rnnport, "export", export)
    result = CliRunner().invoke(app, ["export", "m.keras", "-o", "out"])
    assert result.exit_code == 1
    assert "a difference of 0.1" in result.stderr
    assert result.stdout == ""


def test_a_missing_model_is_refused_before_tensorflow_loads(seen: Seen, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", "none.keras", "-o", "out", "--json"])
    assert result.exit_code == 2
    (reason,) = json.loads(result.stdout)["error"]
    assert reason["received"] == "no such file"
    assert not seen
