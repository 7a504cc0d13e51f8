from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from rnnport.cli.main import app
from rnnport.spec import FixedAxis
from tests.tiny import lstm_artifact


def test_it_shows_what_the_manifest_says(tmp_path: Path) -> None:
    fixed = FixedAxis(input="x", axis=2, size=3, layer="flatten", reason="it joins the axes")
    lstm_artifact(tmp_path / "out", fixed_axes=[fixed])
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    for part in (
        "keras 3.15.1",
        "in x float32 B × T × 3 float, 0 masks",
        "out y float32 B × T × 4",
        "decoder/gru_1 GRU 8+8 tf2onnx activation gelu has no ONNX name",
        "Transpose 2, LSTM 1",
        "golden.npz",
        "rnnport 0.1.0",
        "streamable no: it reads backwards (layer lstm)",
        "x, axis 2 = 3 (layer flatten): it joins the axes",
        "• made for a test",
    ):
        assert part in shown, part
    assert "the one check passed, worst error 2.0e-07" in shown


def test_json_is_the_manifest(lstm_folder: Path) -> None:
    result = CliRunner().invoke(app, ["inspect", str(lstm_folder), "--json"])
    found = json.loads(result.stdout)
    assert found["path"] == str(lstm_folder)
    assert found["forms"]["model"]["op_counts"] == {
        "Transpose": 2,
        "LSTM": 1,
        "Squeeze": 1,
    }
    assert found["layers"][1]["lowering"] == "tf2onnx"


def test_no_artifact(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["inspect", str(tmp_path), "--json"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["kind"] == "ArtifactDamaged"
