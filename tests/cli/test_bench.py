"""`rnnport bench`, and what it measures with. No figure is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.cli.main import app
from rnnport.errors import InputError, UsageError
from rnnport.runtime import benchmark as measuring
from rnnport.runtime.benchmark import benchmark
from rnnport.runtime.memory import peak_bytes, resident_bytes
from rnnport.runtime.runner import Runner
from rnnport.spec import Generate
from tests.runtime import seq2seq, streams

FAST = ["--seconds", "0.001", "--provider", "cpu", "--threads", "1"]
Size = tuple[str, int, int | None]


def bench(folder: Path, *words: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["bench", str(folder), *FAST, *words, "--json"])
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def sizes(found: dict[str, Any]) -> list[Size]:
    return [(row["form"], row["batch"], row["time"]) for row in found["rows"]]


def test_every_size_where_the_axes_are_open() -> None:
    found = bench(streams.folder("lstm"), "--batch", "1,3", "--time", "2,7")
    runs = [("run", b, t) for b in (1, 3) for t in (2, 7)]
    assert sizes(found) == [*runs, ("stream", 1, 1), ("stream", 3, 1)]
    assert (found["provider"], found["threads"], found["name"]) == ("cpu", 1, "lstm")
    assert set(found["machine"]) == {"processor", "cores", "system"}
    assert {"rnnport", "numpy"} <= set(found["versions"])
    for row in found["rows"]:
        timing = row["timing"]
        assert 0 < timing["low"] <= timing["median"] <= timing["high"]
        assert timing["calls"] >= 5
        steps = row["batch"] * row["time"]
        assert row["rate"] == pytest.approx(steps / timing["median"])


@pytest.mark.parametrize("name", streams.NAMES)
def test_every_kind_of_stream_is_stepped(name: str) -> None:
    report = benchmark(
        streams.folder(name), provider="cpu", threads=1, batches=[2], times=[3], seconds=1e-3
    )
    rows = {row.form: row for row in report.rows}
    assert set(rows) == {"run", "stream"}
    assert all(row.timing is not None for row in report.rows), report.rows


def test_a_model_that_looks_ahead_has_no_stream(lstm_folder: Path) -> None:
    found = bench(lstm_folder, "--batch", "2", "--time", "4")
    assert sizes(found) == [("run", 2, 4)]


def test_several_inputs(pair: Artifact) -> None:
    assert sizes(bench(pair.path, "--batch", "2", "--time", "4")) == [("run", 2, 4)]


def test_generation_is_timed_where_the_artifact_says_how() -> None:
    artifact = rnnport.open(seq2seq.folder("lstm"))
    wish = Generate(start=1, stop=2, max_steps=4)
    manifest = msgspec.structs.replace(artifact.manifest, generate=wish)
    report = benchmark(
        Artifact.of(artifact.path, manifest),
        provider="cpu",
        batches=[1, 2],
        times=[3, 5],
        seconds=1e-3,
    )
    rows = [(row.form, row.batch, row.time) for row in report.rows if row.form != "run"]
    assert rows == [("generate", 1, 5), ("generate", 2, 5)]
    assert all(row.timing is not None and row.rate > 0 for row in report.rows)


def test_the_table() -> None:
    words = ["bench", str(streams.folder("lstm")), *FAST, "--batch", "2", "--time", "3"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "lstm on cpu, 1 thread"
    assert lines[1] == "form batch time median quartiles a second"
    assert lines[3].startswith("run 2 3 ")
    assert lines[4].startswith("stream 2 1 ")
    assert lines[4].endswith(" steps")
    for name in ("load ", "first run ", "machine ", "versions rnnport "):
        assert any(line.startswith(name) for line in lines[5:]), name


def test_sizes_the_model_refuses_say_so(lstm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Runner.run_named

    def run_named(self: Runner, inputs: Any) -> Any:
        if inputs["x"].shape[1] < 3:
            raise InputError.of("run of model.onnx", "kernel too long", "longer", "pad it")
        return real(self, inputs)

    monkeypatch.setattr(Runner, "run_named", run_named)
    short, long = bench(lstm_folder, "--batch", "1", "--time", "1,4")["rows"]
    assert (short["timing"], short["note"]) == (None, "kernel too long")
    assert long["timing"] is not None
    words = ["bench", str(lstm_folder), *FAST, "--time", "1,4"]
    assert "refused: kernel too long" in CliRunner().invoke(app, words).stdout
    with pytest.raises(UsageError) as caught:
        benchmark(lstm_folder, provider="cpu", times=[1, 2], seconds=1e-3)
    assert str(caught.value) == (
        "sizes | received: none that the model takes | expected: a size it takes | "
        "remedy: try longer sequences: --time 200"
    )


@pytest.mark.parametrize(
    ("words", "subject", "received"),
    [
        (["--batch", "1,x"], "--batch", "'1,x'"),
        (["--time", ""], "--time", "''"),
        (["--batch", "0"], "batch", "0"),
        (["--time", "4,-1"], "time", "-1"),
        (["--seconds", "0"], "seconds", "0.0"),
        (["--threads", "0"], "threads", "0"),
    ],
)
def test_sizes_that_make_no_sense(
    lstm_folder: Path, words: list[str], subject: str, received: str
) -> None:
    result = CliRunner().invoke(app, ["bench", str(lstm_folder), *words, "--json"])
    assert result.exit_code == 2
    (reason,) = json.loads(result.stdout)["error"]
    assert (reason["subject"], reason["received"]) == (subject, received)


def test_a_row_ends_after_its_seconds_and_five_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: float(next(clock)))
    calls: list[int] = []
    timing = measuring._timing(lambda: calls.append(1), 8.0, 5)  # each takes a second
    assert (len(calls), timing) == (8, measuring.Timing(1.0, 1.0, 1.0, 8))
    calls.clear()
    assert measuring._timing(lambda: calls.append(1), 0.0, 5).calls == len(calls) == 5


def test_progress_names_every_row(lstm_folder: Path) -> None:
    told: list[tuple[str, float]] = []
    benchmark(
        lstm_folder,
        provider="cpu",
        batches=[1, 2],
        times=[3],
        seconds=1e-3,
        progress=lambda name, fraction: told.append((name, fraction)),
    )
    assert told == [("run 1×3", 0.0), ("run 2×3", 0.5)]


def test_memory_is_that_of_this_process() -> None:
    now, peak = resident_bytes(), peak_bytes()
    if now is None or peak is None:
        pytest.skip("the system does not tell")
    assert 1e6 < now < 1e12
    assert peak >= 0.5 * now


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no such mark")
def test_the_peak_is_not_that_of_who_started_the_process() -> None:
    code = "from rnnport.runtime.memory import peak_bytes; print(peak_bytes())"
    ballast = np.ones(1 << 26)  # 512 MB
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 1e6 < int(done.stdout) < ballast.nbytes
