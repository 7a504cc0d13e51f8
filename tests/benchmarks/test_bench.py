"""The command as a whole, on two rows: it measures, stops, goes on, and writes the page."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from suite.peers.torch import Torch
from suite.store import read_results
from suite.subject import Subject
from suite.workloads import Model

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


def test_two_rows_one_after_the_other(tmp_path: Path) -> None:
    out, page = tmp_path / "some.jsonl", tmp_path / "performance.md"
    common = ["--quick", "--seconds", "0.05", "--out", str(out), "--no-fresh", "--threads", "1"]
    done = bench(*common, "--rows", "GRU 64→128, 1x1,")
    assert done.returncode == 0, done.stderr
    first = out.read_text()
    done = bench(
        *common, "--rows", "GRU 64→128, (1x1,|32x20, random)", "--resume", "--page", str(page)
    )
    assert done.returncode == 0, done.stderr
    assert out.read_text().startswith(first[: first.index("\n") + 1])
    found = read_results(out)
    assert list(found.rows) == ["GRU 64→128, 1×1, plain", "GRU 64→128, 32×20, random mask"]
    before = read_results_of(first, tmp_path)
    assert found.rows["GRU 64→128, 1×1, plain"] == before["GRU 64→128, 1×1, plain"]
    for row in found.rows.values():
        assert {"rnnport", "rnnport, portable", "Keras predict", "tf.function", "XLA"} <= set(
            row["us"]
        ), row["absent"]
        assert {"tf2onnx", "BLAS products", "one-op graph"} <= set(row["us"]), row["absent"]
        assert max(row["errors"].values()) <= 1e-5
        assert set(row["us"]) & set(row["absent"]) == set()
    assert set(found.models) == {"GRU 64→128", "GRU 64→128, masked"}
    assert "| GRU 64→128, masked |" in page.read_text()
    assert not (ROOT / "docs" / "performance.md.part").exists()


def read_results_of(text: str, folder: Path) -> dict[str, object]:
    path = folder / "before.jsonl"
    path.write_text(text)
    return dict(read_results(path).rows)


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
