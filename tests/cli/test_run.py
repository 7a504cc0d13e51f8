from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rnnport.artifact.load import Artifact
from rnnport.cli.main import app
from rnnport.npz import decode_npz
from rnnport.runtime.runner import load

X = np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)


def run(folder: Path, source: Path, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        app, ["run", str(folder), "-i", str(source), "-o", str(source.parent / "out.npz"), *more]
    )
    return result.exit_code, result.output


@pytest.mark.parametrize("kind", ["named", "any name", "npy"])
def test_a_single_input(lstm_folder: Path, tmp_path: Path, kind: str) -> None:
    source = tmp_path / ("in.npy" if kind == "npy" else "in.npz")
    if kind == "npy":
        np.save(source, X)
    else:
        np.savez(source, **{"x" if kind == "named" else "whatever": X})
    code, output = run(lstm_folder, source, "--threads", "1", "--provider", "cpu")
    assert code == 0, output
    assert "✓ tiny on cpu in" in output
    assert "float32  2 × 5 × 4" in output
    expected = load(lstm_folder, provider="cpu", threads=1).run(X)
    np.testing.assert_array_equal(decode_npz(tmp_path / "out.npz")["y"], expected)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([source.name, "out.npz"])


def test_several_inputs_and_outputs(pair: Artifact, tmp_path: Path) -> None:
    source = tmp_path / "in.npz"
    np.savez(source, left=X[..., :2], ids=np.arange(10).reshape(2, 5))
    code, output = run(pair.path, source, "--json", "--provider", "cpu")
    assert code == 0, output
    found = json.loads(output)
    assert found["provider"] == "cpu"
    assert found["outputs"]["twice"] == {"dtype": "int64", "shape": [2, 5]}
    assert list(decode_npz(tmp_path / "out.npz")) == ["sum/out:0", "twice"]


def refused(folder: Path, source: Path, *more: str) -> tuple[str, dict[str, str]]:
    code, output = run(folder, source, "--json", *more)
    assert code == 2, output
    found = json.loads(output)
    assert not (source.parent / "out.npz").exists()
    return found["kind"], found["error"][0]


def test_bad_files(lstm_folder: Path, pair: Artifact, tmp_path: Path) -> None:
    source = tmp_path / "in.npz"
    kind, reason = refused(lstm_folder, source)
    assert (kind, reason["subject"]) == ("UsageError", f"inputs {source}")
    assert reason["received"] == "No such file or directory"
    source.write_text("text")
    assert refused(lstm_folder, source)[1]["received"] == "File is not a zip file"
    np.savez(source, x=np.array([{}], object))
    assert "Object arrays cannot be loaded" in refused(lstm_folder, source)[1]["received"]
    np.savez(source, a=X, b=X)
    kind, reason = refused(pair.path, source)
    assert reason["received"] == "2 arrays: a, b"
    assert reason["expected"] == "arrays named left, ids"
    text = tmp_path / "in.npy"
    text.write_text("text")
    assert refused(lstm_folder, text)[0] == "UsageError"


def test_bad_arrays_and_options(lstm_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.npz"
    np.savez(source, x=X[:0])
    kind, reason = refused(lstm_folder, source)
    assert (kind, reason["received"]) == ("InputError", "float32 (0, 5, 3)")
    np.savez(source, x=X, y=X)
    assert refused(lstm_folder, source)[1]["subject"] == "input 'y'"
    np.savez(source, x=X)
    assert refused(lstm_folder, source, "--threads", "0")[0] == "UsageError"


def test_outputs_that_cannot_be_written(lstm_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.npz"
    np.savez(source, x=X)
    words = ["run", str(lstm_folder), "-i", str(source), "-o", str(tmp_path / "no" / "out.npz")]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["kind"] == "SaveFailed"
