"""What a Scan's body reads from around it becomes a state, and OpenVINO runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from rnnport.graph.scan_captures import carry_captures
from rnnport.runtime.session import open_session
from tests.backends import needs

FLOAT = TensorProto.FLOAT


def value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, shape)


def captures(*, nested: bool = False) -> ir.Model:
    """s ← (s·half + x)·shift + gain, where shift is computed around the loop and gain is given.

    The output of a step is what it captured and what it computed; nested, the product with shift is
    itself a Scan of one step.
    """
    product = [helper.make_node("Mul", ["added", "shift"], ["moved"])]
    if nested:
        inner = helper.make_graph(
            [helper.make_node("Mul", ["inner_x", "shift"], ["inner_y"])],
            "inner",
            [value("inner_x", "B")],
            [value("inner_y", "B")],
        )
        product = [
            helper.make_node("Unsqueeze", ["added", "zero"], ["one_step"]),
            helper.make_node("Scan", ["one_step"], ["steps"], body=inner, num_scan_inputs=1),
            helper.make_node("Squeeze", ["steps", "zero"], ["moved"]),
        ]
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["s", "half"], ["halved"]),
            helper.make_node("Add", ["halved", "x_t"], ["added"]),
            *product,
            helper.make_node("Add", ["moved", "gain"], ["s_new"]),
            helper.make_node("Sub", ["s_new", "shift"], ["y_t"]),
        ],
        "body",
        [value("s", "B"), value("x_t", "B")],
        [value("s_new", "B"), value("y_t", "B")],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Tanh", ["gain"], ["shift"]),
            helper.make_node("Scan", ["s0", "x"], ["end", "y"], body=body, num_scan_inputs=1),
        ],
        "captures",
        [value("x", "T", "B"), value("s0", "B"), value("gain", "B")],
        [value("end", "B"), value("y", "T", "B")],
        [
            numpy_helper.from_array(np.array(0.5, np.float32), "half"),
            numpy_helper.from_array(np.array([0], np.int64), "zero"),
        ],
    )
    return ir.from_proto(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    )


def feeds() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    shapes = {"x": (5, 3), "s0": (3,), "gain": (3,)}
    return {n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()}


def run(model: ir.Model) -> list[np.ndarray]:
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["end", "y"], feeds())


@pytest.mark.parametrize("nested", [False, True])
def test_the_numbers_are_the_same(nested: bool) -> None:
    expected = run(captures(nested=nested))
    model = captures(nested=nested)
    carry_captures(model)
    for y, z in zip(expected, run(model), strict=True):
        np.testing.assert_array_equal(y, z)
        assert np.ptp(y) > 0.1


def test_only_constants_are_still_captured() -> None:
    model = captures()
    carry_captures(model)
    (scan,) = (n for n in ir.to_proto(model).graph.node if n.op_type == "Scan")
    (body,) = (a.g for a in scan.attribute if a.name == "body")
    assert list(scan.input) == ["s0", "shift", "gain", "x"]
    assert [i.name for i in body.input] == ["s", "shift/in/end", "gain/in/end", "x_t"]
    assert [o.name for o in body.output] == ["s_new", "shift/out/end", "gain/out/end", "y_t"]
    made = {name for node in body.node for name in node.output} | {i.name for i in body.input}
    assert {n for node in body.node for n in node.input} - made == {"half"}


def test_a_body_without_captures_stays_as_it_is() -> None:
    model = captures()
    carry_captures(model)
    before = ir.to_proto(model).SerializeToString()
    carry_captures(model)
    assert ir.to_proto(model).SerializeToString() == before


@needs("openvino")
def test_openvino_runs_it(tmp_path: Path) -> None:
    expected = run(captures())
    model = captures()
    carry_captures(model)
    onnx.save(ir.to_proto(model), tmp_path / "model.onnx")
    found = open_session(tmp_path / "model.onnx", "openvino").run(["end", "y"], feeds())
    for y, z in zip(expected, found, strict=True):
        np.testing.assert_allclose(z, y, rtol=0, atol=1e-6)
