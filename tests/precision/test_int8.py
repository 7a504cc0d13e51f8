"""int8: a quarter of the file, DynamicQuantizeLSTM in whole forms, the laws of streams kept."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

import rnnport
from rnnport.artifact.golden import read_golden
from rnnport.artifact.load import Artifact
from rnnport.artifact.manifest import record
from rnnport.parity.paid import deviation
from tests.precision.conftest import Made
from tests.precision.models import MODELS, translator
from tests.tiny_keras import lowerings, normal, ops


def size(artifact: Artifact, form: str) -> int:
    return artifact.manifest.forms[form].record.size


def apart(expected: Any, received: Any) -> float:
    """Quadratic mean of the difference over the spread."""
    expected, received = np.asarray(expected), np.asarray(received)
    return float(np.sqrt(((expected - received) ** 2).mean())) / deviation([expected])


def test_an_lstm_is_a_quarter_of_its_size(made: Made) -> None:
    _, plain = made("lstm", "float32")
    _, small = made("lstm", "int8")
    for form in ("model", "stream"):
        assert size(small, form) < 0.27 * size(plain, form)
    counts = small.manifest.forms["model"].op_counts
    assert (counts["DynamicQuantizeLSTM"], counts.get("LSTM")) == (1, None)
    assert lowerings(small) == ["DynamicQuantizeLSTM"]
    assert small.manifest.precision == "int8"
    facts = {p.key: p.value for p in onnx.load(small.forms["model"]).metadata_props}
    assert facts["rnnport.precision"] == "int8"
    assert json.loads(facts["rnnport.layers"])[0]["lowering"] == "DynamicQuantizeLSTM"


@pytest.mark.parametrize("name", MODELS)
def test_it_costs_what_the_manifest_says(name: str, made: Made) -> None:
    model, artifact = made(name, "int8")
    (paid,) = artifact.manifest.paid
    assert 0.001 < paid.mean < 0.03
    assert 0 < paid.worst < 0.06
    assert paid.flipped <= 0.05 * paid.decisions
    x = normal(5, 29, 128 if name == "lstm" else 36)
    if name == "bidirectional":
        x = np.random.default_rng(3).integers(0, 100, (5, 29)).astype("int32")
    expected = model(x)
    received = rnnport.load(artifact, provider="cpu").run(x)
    assert received.dtype == np.float32
    assert 1e-4 < apart(expected, received) < 0.05


@pytest.mark.parametrize("name", MODELS)
def test_every_question_of_verify_is_answered(name: str, made: Made) -> None:
    model, artifact = made(name, "int8")
    report = rnnport.verify(artifact, model=model)
    assert report.passed, report.failures
    kinds = {check.kind for check in report.checks}
    assert {"precision", "shapes", "fresh", "axes", "determinism", "structure"} <= kinds
    assert ("masks" in kinds) == (name in ("masked", "bidirectional", "mixed", "gru"))
    assert ("streaming" in kinds) == (name != "bidirectional")
    assert "accuracy" not in kinds
    # Without dynamic kernels rows are strangers, and are asked.
    assert ("isolation" in kinds) == (name in ("gru", "simple")) != artifact.manifest.mixes_rows


def test_operators(made: Made) -> None:
    expected = {
        "masked": {"DynamicQuantizeLSTM": 2},
        "stacked": {"DynamicQuantizeLSTM": 2},
        "bidirectional": {"DynamicQuantizeLSTM": 2, "GRU": 2},
        "mixed": {"DynamicQuantizeLSTM": 1, "GRU": 1},
        "gru": {"GRU": 1},
        "simple": {"Scan": 2},
    }
    kernels = ("LSTM", "GRU", "RNN", "Scan", "Loop", "DynamicQuantizeLSTM")
    for name, wanted in expected.items():
        counts = ops(made(name, "int8")[1])
        assert {op: counts[op] for op in kernels if counts[op]} == wanted


@pytest.mark.parametrize("name", ["masked", "mixed", "gru", "stacked"])
def test_streams_keep_their_laws(name: str, made: Made) -> None:
    artifact = made(name, "int8")[1]
    counts = artifact.manifest.forms["stream"].op_counts
    assert "DynamicQuantizeLSTM" not in counts
    runner = rnnport.load(artifact, provider="cpu")
    x = normal(3, 20, 36)
    stepper = runner.stepper(3)
    whole = stepper.feed(x)
    stepper.reset()
    steps = [stepper.step(np.ascontiguousarray(x[:, t])) for t in range(20)]
    last = np.stack(steps, 1) if whole.ndim == 3 else steps[-1]
    assert np.abs(whole - last).max() <= 1e-6
    spoilt = x.copy()
    spoilt[0] = np.nan
    stepper.reset()
    assert np.abs(stepper.feed(spoilt)[1:] - whole[1:]).max() <= 1e-6
    assert apart(whole, runner.run(x)) < 0.05


@pytest.mark.parametrize("fault", ["ignored mask", "other weights"])
def test_the_budget_notices(fault: str, made: Made, tmp_path: Path) -> None:
    artifact = made("masked", "int8")[1]
    path = tmp_path / "model.onnx"
    model = onnx.load(artifact.forms["model"])
    if fault == "ignored mask":
        marks = [n for n in model.graph.node if n.op_type == "Equal"]
        assert marks
        for value in model.graph.initializer:
            if value.name in marks[0].input:
                value.CopyFrom(numpy_helper.from_array(np.float32(-7.0), value.name))
    else:
        value = next(v for v in model.graph.initializer if v.name.endswith("_R_kernel"))
        array = numpy_helper.to_array(value)
        value.CopyFrom(numpy_helper.from_array(np.roll(array, 1, axis=2), value.name))
    onnx.save(model, path)
    form = msgspec.structs.replace(artifact.manifest.forms["model"], record=record(path))
    forms = {"model": form}
    manifest = msgspec.structs.replace(artifact.manifest, forms=forms)
    golden = artifact.path / manifest.golden.file
    (tmp_path / golden.name).write_bytes(golden.read_bytes())
    broken = Artifact.of(tmp_path, manifest)
    report = rnnport.verify(broken, checks=["shapes", "masks", "precision"])
    kinds = {check.kind for check in report.failures}
    assert kinds == ({"masks", "precision"} if fault == "ignored mask" else {*kinds, "precision"})
    worst = max(check.error or 0.0 for check in report.failures if check.kind == "masks")
    assert worst > 0.15


def test_encoder_decoder_and_the_loop(tmp_path: Path) -> None:
    wish = rnnport.Generate(start=1, stop=2, max_steps=9)
    model = translator()
    artifact = rnnport.export(model, tmp_path / "a", precision="int8", generate=wish)
    assert artifact.manifest.target == "cpu"
    lstms = {
        name: (form.op_counts.get("DynamicQuantizeLSTM", 0), form.op_counts.get("LSTM", 0))
        for name, form in artifact.manifest.forms.items()
    }
    assert lstms == {"model": (2, 0), "encoder": (1, 0), "decoder": (0, 1), "generate": (1, 1)}
    kinds = {check.kind for check in artifact.manifest.parity}
    assert kinds == {"shapes", "masks", "drift", "hand-off", "generation", "precision"}
    assert rnnport.verify(artifact).passed
    ids = np.random.default_rng(0).integers(1, 60, (3, 8)).astype("int32")
    found = rnnport.load(artifact, provider="cpu").generate(ids, start=1, stop=2, max_steps=9)
    session = ort.InferenceSession(artifact.forms["generate"], providers=["CPUExecutionProvider"])
    (rows,) = session.run(None, {"source": ids})
    assert [row.tolist() for row in found] == [row[row >= 0].tolist() for row in rows]
    assert {token for row in found for token in row.tolist()} > {found[0][0]}


def test_float32_is_what_it_was(made: Made) -> None:
    manifest = made("lstm", "float32")[1].manifest
    assert (manifest.precision, manifest.paid, manifest.mixes_rows) == ("float32", [], False)
    assert "precision" not in {
        check.kind for check in rnnport.verify(made("lstm", "float32")[1]).checks
    }


def test_golden_is_still_tensorflow(made: Made) -> None:
    folders = [made("gru", precision)[1].path for precision in ("float32", "int8")]
    plain, small = (read_golden(folder / "golden.npz") for folder in folders)
    for one, other in zip(plain, small, strict=True):
        assert dataclasses.astuple(one)[0] == other.name
        assert all((one.outputs[n] == other.outputs[n]).all() for n in one.outputs)
        assert set(one.truth) == set(other.truth)
