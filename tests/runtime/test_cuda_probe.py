from __future__ import annotations

import ctypes
import math
import subprocess
import sys
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from rnnport.runtime import cuda_probe
from rnnport.runtime.cuda_probe import TINY_ANSWER, TINY_LSTM, Probe, probe_cuda


def test_the_embedded_model_is_what_its_comment_says() -> None:
    weights = [
        helper.make_tensor(name, TensorProto.FLOAT, [1, 4, 1], [value] * 4)
        for name, value in (("W", 0.5), ("R", 0.0))
    ]
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["x", "W", "R"], ["y"], hidden_size=1)],
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, 1])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    assert model.SerializeToString() == TINY_LSTM


def test_the_expected_answer_is_right() -> None:
    gate = 1 / (1 + math.exp(-0.5))
    assert abs(gate * math.tanh(gate * math.tanh(0.5)) - TINY_ANSWER) < 1e-6
    session = ort.InferenceSession(TINY_LSTM, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": np.ones((1, 1, 1), np.float32)})
    assert abs(y.item() - TINY_ANSWER) < 1e-6


def test_probing_prints_nothing_and_remembers() -> None:
    code = (
        "from rnnport.runtime.cuda_probe import probe_cuda, _runs_an_lstm, _Failed\n"
        "assert probe_cuda() is probe_cuda()\n"
        "try: _runs_an_lstm()\n"  # also silent where the driver is there and libraries are not
        "except _Failed as f: assert f.remedy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


class Driver:
    """Stands in for libcuda."""

    def __init__(self, init: int = 0, count: int = 1) -> None:
        self.init, self.count = init, count

    def cuInit(self, flags: int) -> int:  # noqa: N802 - the driver's name
        return self.init

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802 - the driver's name
        count._obj.value = self.count
        return 0


def probe(monkeypatch: pytest.MonkeyPatch, driver: Driver | None, lstm: Any = None) -> Probe:
    def load(name: str) -> Driver:
        if driver is None:
            raise OSError(name)
        return driver

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(cuda_probe, "_preload", lambda: "")
    if lstm is not None:
        monkeypatch.setattr(cuda_probe, "_tiny_lstm_on_cuda", lstm)
    return probe_cuda.__wrapped__()


def raising() -> float:
    raise RuntimeError("CUDA failure 35\nmore lines")


def test_each_step_says_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = "asking the driver for a GPU"
    lstm = "running a small LSTM on CUDA"
    found = probe(monkeypatch, None)
    assert (found.step, found.works) == (driver, False)
    assert "cannot be loaded" in found.detail
    assert probe(monkeypatch, Driver(init=100)).detail == "cuInit returned error 100"
    assert probe(monkeypatch, Driver(count=0)).detail == "the driver sees no GPU"
    assert "CUDA_VISIBLE_DEVICES" in probe(monkeypatch, Driver(count=0)).remedy
    found = probe(monkeypatch, Driver(), raising)
    assert (found.step, found.detail) == (lstm, "CUDA failure 35")
    assert found.remedy == "pip install 'rnnport[cuda]'"
    assert probe(monkeypatch, Driver(), lambda: math.nan).detail.startswith("it gave nan")
    assert probe(monkeypatch, Driver(), lambda: TINY_ANSWER) == Probe(True)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    found = probe_cuda.__wrapped__()
    assert found.step == "looking for CUDA in onnxruntime"
    assert found.detail == f"this onnxruntime {ort.__version__} has CPUExecutionProvider"
