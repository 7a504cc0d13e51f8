"""Every input of a Scan's body says its dtype."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from rnnport.graph.body_types import declare_body_types


def model(dtype: int, declared: bool) -> ir.Model:
    """Sums of x·x over time; the body's scanned input says its type or not."""
    step = helper.make_tensor_value_info("step", dtype, ["N"] if declared else None)
    if not declared:
        step.ClearField("type")
    body = helper.make_graph(
        [helper.make_node("Add", ["s", "step"], ["s_new"])],
        "body",
        [helper.make_tensor_value_info("s", dtype, [2]), step],
        [helper.make_tensor_value_info("s_new", dtype, [2])],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "x"], ["square"]),
            helper.make_node("Scan", ["s0", "square"], ["end"], body=body, num_scan_inputs=1),
        ],
        "sums",
        [
            helper.make_tensor_value_info("x", dtype, ["T", 2]),
            helper.make_tensor_value_info("s0", dtype, [2]),
        ],
        [helper.make_tensor_value_info("end", dtype, [2])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return ir.from_proto(made)


def scanned(given: ir.Model) -> onnx.ValueInfoProto:
    (scan,) = (n for n in ir.to_proto(given).graph.node if n.op_type == "Scan")
    (body,) = (a.g for a in scan.attribute if a.name == "body")
    return body.input[1]


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.INT64, TensorProto.DOUBLE])
def test_a_missing_type_is_found(dtype: int) -> None:
    given = model(dtype, declared=False)
    declare_body_types(given)
    value = scanned(given)
    assert value.type.tensor_type.elem_type == dtype
    assert not value.type.tensor_type.HasField("shape")


def test_what_is_declared_stays_as_it_is() -> None:
    given = model(TensorProto.FLOAT, declared=True)
    before = ir.to_proto(given).SerializeToString()
    declare_body_types(given)
    assert ir.to_proto(given).SerializeToString() == before
