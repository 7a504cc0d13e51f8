"""The command as a whole, on one row: it goes on, measures, compares and writes the page."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from suite.course import GRID, header, known, results_file
from suite.measure import Limits
from suite.peers.registry import FLOORS
from suite.peers.torch import Torch
from suite.store import Store, read_results
from suite.subject import Subject
from suite.workloads import Model

from tests.benchmarks.records import record

AGAIN = ("disturbed", "all")
ROOT = Path(__file__).resolve().parents[2]


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "benchmarks/bench.py", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_a_cut_run_goes_on_and_makes_its_page(tmp_path: Path) -> None:
    out, page = tmp_path / "some.jsonl", tmp_path / "performance.md"
    known = record("GRU 16→32, 8×1, plain", rnnport=10.0, tf2onnx=30.0)
    Store(out, header(1, Limits(seconds=0.05)), resume=False).add(known)
    words = ["--threads", "1", "--seconds", "0.05", "--no-fresh", "--out", str(out)]
    words += ["--rows", "^GRU 16→32, (1|8)x1, plain", "--resume", "--page", str(page)]
    done = bench(*words)
    assert done.returncode == 0, done.stderr
    found = read_results(out)
    assert set(found.rows) == {known["row"], "GRU 16→32, 1×1, plain"}
    assert found.rows[known["row"]] == known
    row = found.rows["GRU 16→32, 1×1, plain"]
    ours = {"rnnport", "rnnport, portable"}
    assert {*ours, "Keras predict", "tf.function", "XLA", "tf2onnx", *FLOORS} <= set(row["us"])
    assert max(row["errors"].values()) <= 1e-5
    assert not set(row["us"]) & set(row["absent"])
    (model,) = found.models.values()
    assert model["lowering"] == ["GRU"]
    assert model["bytes"]["rnnport"] > model["bytes"]["weights"] > 0
    assert "Rows measured: 2 of 659" in page.read_text()


@pytest.mark.parametrize(
    ("quick", "rows", "resume", "grid"),
    [
        (False, "", False, True),
        (False, "", True, True),
        (False, "GRU", True, True),
        (False, "GRU", False, False),
        (True, "", False, False),
        (True, "", True, False),
    ],
)
def test_some_rows_never_replace_the_grid(quick: bool, rows: str, resume: bool, grid: bool) -> None:
    options = argparse.Namespace(quick=quick, rows=rows, resume=resume)
    assert (results_file(options) == GRID) is grid


def test_which_rows_are_measured_again() -> None:
    quiet = record("GRU 16→32, 8×1, plain", 0.0, rnnport=1.0)
    disturbed = record("GRU 16→32, 8×1, plain", 0.5, rnnport=1.0)
    slowed = {**quiet, "slowdown": 1.4}
    for again, expected in (
        (None, (True,) * 3),
        ("disturbed", (True, False, False)),
        ("all", (False,) * 3),
    ):
        assert tuple(known(row, again) for row in (quiet, disturbed, slowed)) == expected
    assert not known(None, None)
    assert not known({"failed": "why"}, None)


def test_rows_are_listed() -> None:
    done = bench("--list", "--rows", "^real g2p")
    assert done.stdout.splitlines() == [f"real g2p-en, {batch}×12, plain" for batch in (1, 8, 32)]


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_torch_has_the_same_weights(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from suite.models import build

    model = Model("bidirectional", kind, 3, 5, depth=2)
    subject = Subject(model, build(model), tmp_path, 1)
    x = np.random.default_rng(0).standard_normal((2, 7, 3)).astype(np.float32)
    received = Torch().prepare(subject)([x])()
    np.testing.assert_allclose(received, subject.keras(x), rtol=0, atol=1e-6)
