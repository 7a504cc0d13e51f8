from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import onnx
import onnx_ir as ir
import pytest

import rnnport
from rnnport.errors import ArtifactDamaged
from rnnport.graph import finish
from rnnport.graph.finish import count_ops, describe, write_onnx
from rnnport.recurrent import RecurrentSpec
from rnnport.spec import Port
from tests.graph.numpy_cells import cell
from tests.graph.skeletons import one_layer, value
from tests.graph.test_scan import SWISH
from tests.tiny_keras import assert_same, lively, normal

L = keras.layers


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Path]:
    """A model, and its artifact with external data."""
    monkeypatch.setattr(finish, "ONE_FILE_LIMIT", 2000)
    x = keras.Input((None, 3))
    model = lively(keras.Model(x, L.Dense(2)(L.LSTM(12)(x))))
    rnnport.export(model, tmp_path / "out")
    return model, tmp_path / "out"


def test_external_data_is_written_listed_and_read(large: tuple[Any, Path]) -> None:
    model, folder = large
    artifact = rnnport.open(folder)
    form = artifact.manifest.forms["model"]
    assert [d.file for d in form.data] == ["model.onnx.data"]
    assert sorted(p.name for p in folder.iterdir()) == [
        "golden.npz",
        "model.onnx",
        "model.onnx.data",
        "rnnport.json",
        "stream.onnx",
        "stream.onnx.data",
    ]
    weights = 4 * (12 * 4 * (3 + 12 + 2))
    assert form.data[0].size >= weights - 1024
    assert form.data[0].size == (folder / "model.onnx.data").stat().st_size
    x = normal(3, 9, 3)
    assert_same(model(x), rnnport.load(folder).run(x))
    assert rnnport.verify(folder, model=model).passed


def test_external_data_moves_with_the_folder(large: tuple[Any, Path], tmp_path: Path) -> None:
    model, folder = large
    moved = folder.rename(tmp_path / "elsewhere")
    x = normal(3, 9, 3)
    assert_same(model(x), rnnport.load(moved).run(x))


def test_a_changed_byte_in_external_data_is_refused(large: tuple[Any, Path]) -> None:
    _, folder = large
    data = folder / "model.onnx.data"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    with pytest.raises(ArtifactDamaged) as caught:
        rnnport.load(folder)
    (reason,) = caught.value.reasons
    assert reason.subject == f"model.onnx.data in {folder}"
    assert reason.received.startswith("sha256 ")
    assert reason.expected.startswith("sha256 ")
    assert reason.received != reason.expected
    assert reason.remedy == "copy the artifact again, or export the model again"


def test_missing_external_data_is_refused(large: tuple[Any, Path]) -> None:
    _, folder = large
    (folder / "model.onnx.data").unlink()
    with pytest.raises(ArtifactDamaged, match=r"model\.onnx\.data .*received: missing"):
        rnnport.open(folder)


def test_one_file_below_the_limit(tmp_path: Path) -> None:
    ready = one_layer(RecurrentSpec("layer", "LSTM", (cell("LSTM"),)))
    path = tmp_path / "model.onnx"
    assert write_onnx(ir.from_proto(ready.proto), path) == []
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    onnx.checker.check_model(str(path))


def test_ops_are_counted_inside_scans_too() -> None:
    ready = one_layer(RecurrentSpec("layer", "GRU", (cell("GRU", activation=SWISH),)))
    assert ready.ops["Scan"] == 1
    assert ready.ops["MatMul"] == 3  # one outside, two inside
    assert list(ready.ops.values()) == sorted(ready.ops.values(), reverse=True)


def test_the_graph_explains_itself(tmp_path: Path) -> None:
    x = value("a", ["B"])
    node = ir.node("Relu", [x])
    node.outputs[0].name = "b"
    graph = ir.Graph([x], node.outputs, nodes=[node], opset_imports={"": 18}, name="g")
    model = ir.Model(graph, ir_version=10)
    ports = [Port(name=n, dtype="float32", shape=["B", "T", 3]) for n in "ab"]
    describe(model, ports[:1], ports[1:], {"rnnport.name": "it"}, "9.9")
    write_onnx(model, tmp_path / "m.onnx")
    proto = onnx.load(tmp_path / "m.onnx")
    assert (proto.producer_name, proto.producer_version) == ("rnnport", "9.9")
    assert {p.key: p.value for p in proto.metadata_props} == {"rnnport.name": "it"}
    dims = proto.graph.output[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["B", "T", 3]
    assert count_ops(model) == {"Relu": 1}


def test_exported_metadata(tmp_path: Path) -> None:
    x = keras.Input((None, 3), name="signal")
    model = lively(keras.Model(x, L.GRU(4, name="listener")(x), name="ear"))
    artifact = rnnport.export(model, tmp_path / "out", name="left ear", target="cpu")
    proto = onnx.load(artifact.forms["model"])
    facts = {p.key: p.value for p in proto.metadata_props}
    assert facts["rnnport.name"] == "left ear"
    assert facts["rnnport.target"] == "cpu"
    assert facts["rnnport.source"] == "live object"
    assert facts["rnnport.version"] == rnnport.__version__
    assert [p["name"] for p in json.loads(facts["rnnport.inputs"])] == ["signal"]
    assert json.loads(facts["rnnport.inputs"])[0]["shape"] == ["B", "T", 3]
    assert [p["shape"] for p in json.loads(facts["rnnport.outputs"])] == [["B", 4]]
    assert [layer["name"] for layer in json.loads(facts["rnnport.layers"])] == ["listener"]
