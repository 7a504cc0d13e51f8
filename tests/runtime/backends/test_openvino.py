"""OpenVINO: what it runs is right, and what it does not is named before it runs."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rnnport.errors import ProviderLacks, ProviderUnavailable
from rnnport.parity.tolerance import TOLERANCES
from rnnport.runtime.backends.base import RunFailed
from rnnport.runtime.backends.openvino import OpenVino, OpenVinoSession
from rnnport.runtime.backends.reference import ReferenceSession
from rnnport.runtime.session import open_session
from tests.backends import needs
from tests.runtime.backends.recurrent_graphs import recurrent_feeds, recurrent_model, saved
from tests.runtime.backends.test_reference_ops import scan_model

pytestmark = needs("openvino")

KINDS = ["LSTM", "GRU", "RNN"]
DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def lacks(model: onnx.ModelProto, folder: Path) -> list[tuple[str, str]]:
    return [(k.op, k.reason) for k in OpenVino().lacks(saved(model, folder))]


def furthest(session: Any, path: Path, feeds: dict[str, np.ndarray]) -> float:
    """The largest difference from the reference, over all outputs."""
    expected = ReferenceSession(path).run(None, feeds)
    received = session.run(None, feeds)
    assert [y.dtype for y in received] == [y.dtype for y in expected]
    if any(a.shape != b.shape for a, b in zip(received, expected, strict=True)):
        return np.inf
    return max(float(np.abs(a - b).max()) for a, b in zip(received, expected, strict=True))


@pytest.mark.parametrize("way", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("last", ["Sigmoid", "Tanh", "Relu"])
def test_what_it_takes_is_right(kind: str, way: str, last: str, tmp_path: Path) -> None:
    names = [*DEFAULTS[kind][:-1], last] * (2 if way == "bidirectional" else 1)
    model = recurrent_model(kind, direction=way, initial=True, activations=names)
    path = saved(model, tmp_path)
    session = open_session(path, "openvino", 1)
    for sizes in ({"batch": 5, "time": 6}, {"batch": 1, "time": 1}):
        found = furthest(session, path, recurrent_feeds(model, **sizes))
        assert found < TOLERANCES["openvino"] / 10


SILENT: list[tuple[str, dict[str, Any], str]] = [
    *[(kind, {"lengths": True}, "ignores sequence_lens without an error") for kind in KINDS],
    *[(kind, {"layout": 1}, "runs layout 1 as layout 0, without an error") for kind in KINDS],
    ("LSTM", {"peepholes": True}, "ignores peepholes without an error"),
    ("LSTM", {"input_forget": 1}, "ignores input_forget without an error"),
    (
        "LSTM",
        {
            "direction": "bidirectional",
            "activations": [*DEFAULTS["LSTM"], "Sigmoid", "Relu", "Tanh"],
        },
        "takes one direction's activations for both, without an error",
    ),
]


@pytest.mark.parametrize(("kind", "given", "reason"), SILENT)
def test_what_it_runs_wrong_is_refused_and_still_wrong(
    kind: str, given: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    """Where OpenVINO has become right, the lack can go."""
    model = recurrent_model(kind, **given)
    assert lacks(model, tmp_path) == [(kind, reason)]
    path = tmp_path / "model.onnx"
    assert furthest(OpenVinoSession(path, 1), path, recurrent_feeds(model, least=1)) > 0.05
    with pytest.raises(ProviderLacks) as caught:
        open_session(path, "openvino")
    assert str(caught.value) == (
        f"provider 'openvino', model.onnx | received: {kind}: {reason} | expected: operators that "
        "openvino runs, and rightly | remedy: export the model with target='openvino', or choose "
        "another provider"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_beside_clip_are_heeded(kind: str, tmp_path: Path) -> None:
    model = recurrent_model(kind, lengths=True, clip=1e30)
    path = saved(model, tmp_path)
    session = open_session(path, "openvino")
    assert furthest(session, path, recurrent_feeds(model, least=0)) < 1e-5


REFUSED = {
    "HardSigmoid": {"activation_alpha": [0.2], "activation_beta": [0.5]},
    "Softsign": {},
    "Softplus": {},
    "Elu": {"activation_alpha": [1.0]},
    "LeakyRelu": {"activation_alpha": [0.1]},
    "ThresholdedRelu": {"activation_alpha": [1.0]},
    "Affine": {"activation_alpha": [1.0], "activation_beta": [0.5]},
    "ScaledTanh": {"activation_alpha": [1.0], "activation_beta": [0.5]},
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("kind", KINDS)
def test_activations_it_refuses_are_named_before_it_does(
    kind: str, name: str, tmp_path: Path
) -> None:
    names = [*DEFAULTS[kind][:-1], name]
    model = recurrent_model(kind, activations=names, **REFUSED[name])
    assert lacks(model, tmp_path) == [(kind, f"does not take activation {name.lower()}")]
    with pytest.raises(ProviderLacks) as caught:
        OpenVinoSession(tmp_path / "model.onnx", None)
    (reason,) = caught.value.reasons
    assert reason.received.startswith("OpenVINO 20")
    assert "activation function" in reason.received
    assert "Exception from" not in reason.received


def test_operators_it_does_not_know(tmp_path: Path) -> None:
    model = recurrent_model("GRU")
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    model.graph.node.append(helper.make_node("Odd", ["y"], ["z"], domain="com.example"))
    model.graph.node.append(helper.make_node("Strange", ["z"], ["q"], domain="com.example"))
    model.graph.output[0].name = "q"
    assert lacks(model, tmp_path) == [
        ("com.example.Odd", "is not known to OpenVINO"),
        ("com.example.Strange", "is not known to OpenVINO"),
    ]


def test_a_scan_whose_body_does_not_declare_its_types(tmp_path: Path) -> None:
    """It opens, and OpenVINO fails when it compiles or, where sizes vary, runs."""
    model = scan_model()
    assert lacks(model, tmp_path) == []
    (body,) = (a.g for a in model.graph.node[0].attribute if a.name == "body")
    body.input[1].ClearField("type")
    reason = "has an input in its body without a declared type"
    assert lacks(model, tmp_path) == [("Scan", reason)]
    with pytest.raises(ProviderLacks, match="Memory has not been allocated"):
        OpenVinoSession(tmp_path / "model.onnx", 1)


def test_a_graph_it_cannot_read(tmp_path: Path) -> None:
    model = recurrent_model("GRU")
    model.graph.node[0].input[0] = "nowhere"
    ((op, reason),) = lacks(model, tmp_path)
    assert op == "the graph"
    assert reason.startswith("cannot be read: ")
    assert "nowhere" in reason


@pytest.mark.parametrize(
    ("feeds", "said"),
    [
        ({}, "inputs [], where it takes ['x']"),
        ({"x": np.zeros((2, 1, 3))}, "input 'x' as float64, where it takes float32"),
    ],
)
def test_inputs_that_do_not_fit(feeds: dict[str, Any], said: str, tmp_path: Path) -> None:
    session = open_session(saved(recurrent_model("GRU"), tmp_path), "openvino")
    with pytest.raises(RunFailed) as caught:
        session.run(None, feeds)
    assert caught.value.detail == said


def test_outputs_are_new_arrays_of_the_declared_dtype(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Add", ["x", "x"], ["z"])],
        "two",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["N"])],
        [helper.make_tensor_value_info(n, TensorProto.INT64, ["N"]) for n in ("y", "z")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = open_session(saved(model, tmp_path), "openvino")
    x = np.array([1, -2, 3])
    y, z = session.run(None, {"x": x})
    session.run(None, {"x": np.array([7, 7, 7])})
    assert (y.tolist(), z.tolist(), y.dtype, z.dtype) == ([1, -2, 3], [2, -4, 6], x.dtype, x.dtype)
    assert not np.shares_memory(x, y)
    assert [v.name for v in session.get_inputs()] == ["x"]
    assert [v.name for v in session.get_outputs()] == ["y", "z"]


def test_runs_from_several_threads(tmp_path: Path) -> None:
    model = recurrent_model("LSTM", direction="bidirectional")
    session = open_session(saved(model, tmp_path), "openvino", 1)
    given = [recurrent_feeds(model, batch=b % 4 + 1, time=b + 1, seed=b) for b in range(12)]
    alone = [session.run(None, feeds) for feeds in given]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda feeds: session.run(None, feeds), given))
    for a, b in zip(alone, together, strict=True):
        for one, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(one, other)


def gather_model(*between: str) -> onnx.ModelProto:
    """ids (N,) int64 through some operators to rows of a table of 5."""
    names = ["ids", *(f"v{n}" for n in range(len(between)))]
    attributes, extra = {"Cast": {"to": TensorProto.INT32}}, {"Unsqueeze": ["axis"]}
    nodes = [
        helper.make_node(op, [a, *extra.get(op, [])], [b], **attributes.get(op, {}))
        for op, a, b in zip(between, names, names[1:], strict=False)
    ]
    nodes.append(helper.make_node("Gather", ["table", names[-1]], ["y"]))
    table = np.arange(1, 6, dtype=np.float32)[:, None]
    graph = helper.make_graph(
        nodes,
        "table",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["N"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.mark.parametrize("between", [(), ("Cast",), ("Cast", "Unsqueeze", "Identity")], ids=str)
def test_ids_out_of_range_are_refused_as_onnxruntime_does(
    between: tuple[str, ...], tmp_path: Path
) -> None:
    """By itself OpenVINO gives zeros, and takes 2³² + 1 for 1."""
    session = open_session(saved(gather_model(*between), tmp_path), "openvino")
    (y,) = session.run(None, {"ids": np.array([0, 4, -1, -5])})
    assert y.ravel().tolist() == [1, 5, 5, 1]
    for wrong in (5, -6, 2**32 + 1):
        with pytest.raises(RunFailed) as caught:
            session.run(None, {"ids": np.array([1, wrong])})
        assert caught.value.detail == f"input 'ids' holds {wrong}, which is not within [-5, 4]"


def test_openvino_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ProviderUnavailable) as caught:
        OpenVino().require()
    assert str(caught.value) == (
        "provider 'openvino' | received: no package openvino | "
        "expected: OpenVINO 2025.0 or later | remedy: pip install 'rnnport[openvino]'"
    )


def test_a_scan_in_a_scan(tmp_path: Path) -> None:
    model = scan_model()
    (body,) = (a.g for a in model.graph.node[0].attribute if a.name == "body")
    inner = onnx.NodeProto()
    inner.CopyFrom(model.graph.node[0])
    del inner.input[:], inner.output[:]
    inner.input.extend(["zero", "x"])
    inner.output.extend(["end_again", "y_again"])
    body.node.append(inner)
    assert lacks(model, tmp_path) == [("Scan", "does not run inside another Scan")]


def test_a_scan_that_reads_what_is_around_it(tmp_path: Path) -> None:
    model = scan_model()
    model.graph.node.insert(0, helper.make_node("Add", ["half", "half"], ["one"]))
    (body,) = (a.g for a in model.graph.node[1].attribute if a.name == "body")
    body.node[0].input[1] = "shift"
    shift = helper.make_tensor_value_info("shift", TensorProto.FLOAT, [2])
    model.graph.input.append(shift)
    ((op, reason),) = lacks(model, tmp_path)
    assert op == "Scan"
    assert reason.startswith("cannot be read: ")
    assert "Scan node inputs (2) is less than required (3)" in reason
