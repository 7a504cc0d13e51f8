"""Inner values of a graph, read without onnx: held against onnx's own tools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from rnnport.parity.taps import run_layers, with_outputs
from tests.tiny import lstm_model


def test_inner_values_come_out(tmp_path: Path) -> None:
    model = lstm_model()
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    x = np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)
    found = run_layers(path, {"lstm": "yt", "squeezed": "ys"}, {"x": x})
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in ("yt", "ys"))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(["yt", "ys"], {"x": x})
    assert found["lstm"].shape == (5, 1, 2, 4)
    for one, other in zip(found.values(), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_appended_is_what_onnx_would_write() -> None:
    data = with_outputs(lstm_model().SerializeToString(), ["yt", "x" * 300])
    read = onnx.ModelProto.FromString(data)
    assert [value.name for value in read.graph.output] == ["y", "yt", "x" * 300]
    assert read.graph.output[1].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert len(read.graph.node) == len(lstm_model().graph.node)


def test_values_that_are_not_there_are_no_values(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(lstm_model(), path)
    x = np.zeros((1, 2, 3), np.float32)
    assert run_layers(path, {"gone": "nobody"}, {"x": x}) == {}
    assert run_layers(path, {}, {"x": x}) == {}
