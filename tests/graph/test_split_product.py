"""[x, h] W taken apart: the same numbers, and only where it pays and is sure."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from rnnport.graph.emit import Emitter
from rnnport.graph.split_product import split_products

UNITS, COLUMNS = 20, 6


def value(name: str, width: int) -> ir.Value:
    return ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(["B", width]))


def split(order: str, features: int, *, read_twice: bool = False) -> tuple[ir.Graph, Counter[str]]:
    """A body that multiplies x and states in this order; operators before are Concat, MatMul."""
    inputs = {name: value(name, features if name == "x" else UNITS) for name in sorted(set(order))}
    graph = ir.Graph(list(inputs.values()), [], nodes=[], name="body", opset_imports={"": 18})
    emit = Emitter(graph)
    joined = emit.op("Concat", *(inputs[name] for name in order), axis=-1)
    rows = sum(features if name == "x" else UNITS for name in order)
    array = np.random.default_rng(rows).standard_normal((rows, COLUMNS)).astype(np.float32)
    last = emit.op("MatMul", joined, emit.weight("w", array))
    last.type = ir.TensorType(ir.DataType.FLOAT)
    outputs = [emit.op("Tanh", last), *([emit.op("Neg", joined)] if read_twice else [])]
    for output in outputs:
        output.type = ir.TensorType(ir.DataType.FLOAT)
        graph.outputs.append(output)
    before = run(graph)
    split_products(graph, {inputs["x"]: (features,)}, graph)
    for one, other in zip(run(graph), before, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
    return graph, Counter(node.op_type for node in graph)


def run(graph: ir.Graph) -> list[np.ndarray]:
    model = ir.to_proto(ir.Model(graph, ir_version=9))
    rng = np.random.default_rng(3)
    feeds = {
        str(v.name): rng.standard_normal((3, v.shape[1])).astype(np.float32) * 0.1
        for v in graph.inputs
        if v.shape is not None
    }
    return list(ReferenceEvaluator(model).run(None, feeds))


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("xh", {"MatMul": 2, "Add": 1, "Tanh": 1}),
        ("hx", {"MatMul": 2, "Add": 1, "Tanh": 1}),
        ("xhs", {"Concat": 1, "MatMul": 2, "Add": 1, "Tanh": 1}),
        ("xhx", {"MatMul": 3, "Add": 2, "Tanh": 1}),
    ],
)
def test_a_wide_input_is_split_off(order: str, expected: dict[str, int]) -> None:
    assert split(order, 160)[1] == expected


@pytest.mark.parametrize(("order", "features"), [("xh", 8), ("hxs", 160), ("x", 160)])
def test_what_does_not_pay_or_is_not_sure_stays(order: str, features: int) -> None:
    """A narrow input; two stretches of states whose rows nobody told; no state at all."""
    assert split(order, features)[1] == {"Concat": 1, "MatMul": 1, "Tanh": 1}


def test_what_others_read_is_kept() -> None:
    counts = split("xh", 160, read_twice=True)[1]
    assert counts == {"Concat": 1, "MatMul": 2, "Add": 1, "Tanh": 1, "Neg": 1}
