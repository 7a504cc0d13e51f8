"""`rnnport tune`. No figure is asserted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import rnnport
from rnnport.cli.main import app
from rnnport.cli.tune import _show
from rnnport.tuning.report import Kept, Size, Switched, TuneReport
from tests.tuning.artifacts import bytes_of

FAST = ["--seconds", "0.001", "--threads", "2"]


@pytest.fixture
def folder(lstm_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lstm_folder, tmp_path / "lstm"))


def tune(folder: Path, *words: str) -> Any:
    return CliRunner().invoke(app, ["tune", str(folder), *FAST, *words])


def test_json(folder: Path) -> None:
    result = tune(folder, "--batch", "1,4", "--time", "3", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["name"] == rnnport.open(folder).manifest.name
    assert [(k["size"]["batch"], k["size"]["time"]) for k in found["kept"]] == [(1, 3), (4, 3)]
    for row in found["kept"]:
        assert row["after_us"] > 0
        assert row["layout"] in row["tried"]
    assert {one["layer"] for one in (*found["switched"], *found["stayed"])}
    assert rnnport.verify(folder, provider="cpu").passed


def test_the_usual_sizes(folder: Path) -> None:
    found = json.loads(tune(folder, "--json").stdout)
    sizes = [(row["size"]["batch"], row["size"]["time"]) for row in found["kept"]]
    assert sizes == [(b, t) for b in (1, 8, 32) for t in (1, 20, 100)]


def test_another_folder(folder: Path, tmp_path: Path) -> None:
    before = bytes_of(folder)
    result = tune(folder, "--batch", "1", "--time", "3", "--out", str(tmp_path / "new"))
    assert result.exit_code == 0, result.output
    assert bytes_of(folder) == before


REPORT = TuneReport(
    threads=2,
    switched=[Switched("model", "rnn", "Scan", "RNN", 1.5)],
    stayed=[Switched("stream", "rnn", "Scan", "RNN", 0.98)],
    kept=[
        Kept(Size(1, 20), "one thread", 34.0, 14.6, {"whole batch": 30.0, "one thread": 15.0}),
        Kept(Size(32, 20), "2 parts", 340.0, 340.0, {"2 parts": 340.0, "one thread": 510.0}),
    ],
    notes=["second as Scan: outputs differ by more than 1e-06"],
)


def test_what_a_person_reads(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _show("name", REPORT, tmp_path / "place")
    lines = capsys.readouterr().out.splitlines()
    words = [line.split() for line in lines]
    assert words[0] == ["name", "on", "the", "CPU,", "2", "threads"]
    assert ["34", "µs", "14.6", "µs", "2.33×", "one", "thread", "whole", "batch", "2.00×"] in [
        w[2:] for w in words
    ]
    assert ["340", "µs", "340", "µs", "1.00×", "2", "parts", "one", "thread", "1.50×"] in [
        w[2:] for w in words
    ]
    assert ["model", "rnn", "Scan", "RNN", "1.50×", "switched"] in words
    assert ["stream", "rnn", "Scan", "RNN", "0.98×"] in words
    text = " ".join(" ".join(w) for w in words)
    assert "written to" in text
    assert "second as Scan" in text
    assert all(len(line) <= 100 for line in lines if str(tmp_path) not in line)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--batch", "x"], "--batch"),
        (["--batch", "0"], "batch"),
        (["--seconds", "0"], "seconds"),
        (["--threads", "0"], "threads"),
    ],
)
def test_bad_input(words: list[str], said: str, folder: Path) -> None:
    result = tune(folder, *words)
    assert result.exit_code == 2
    assert said in result.output


def test_an_interrupt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(rnnport, "tune", stop)
    result = tune(folder)
    assert result.exit_code == 130
    assert "Traceback" not in result.output
