"""Masking as tf2onnx writes it, shortened: the same masks and values, fewer operators."""

from __future__ import annotations

from collections import Counter
from typing import Any

import hypothesis.strategies as st
import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from hypothesis import given, settings

from rnnport.graph.emit import Emitter
from rnnport.graph.masking import shorten_masking, unmasked
from rnnport.graph.tidy import tidy
from tests.graph.skeletons import BOOL, value

FLOAT = ir.DataType.FLOAT


def _graph(*, by_choice: bool, mask_value: float = -1.0, axes: int = -1) -> ir.Model:
    """x in; the mask, and x with masked steps zeroed, out."""
    x = value("x", ["B", "T", 4])
    graph = ir.Graph([x], [], nodes=[], opset_imports={"": 18}, name="masking")
    emit = Emitter(graph)
    equal = emit.op("Equal", x, emit.real(mask_value))
    as_float = emit.op("Cast", emit.op("Not", equal), to=FLOAT.value)
    mask, kept = (
        emit.op(
            "Greater",
            emit.op("ReduceSum", as_float, emit.ints(axes), keepdims=keepdims),
            emit.real(0.0),
        )
        for keepdims in (0, 1)
    )
    if by_choice:
        masked = emit.op("Where", kept, x, emit.real(0.0))
    else:
        masked = emit.op("Mul", emit.op("Cast", kept, to=FLOAT.value), x)
    for name, v, dtype in (("mask", mask, BOOL), ("masked", masked, FLOAT)):
        copy = emit.op("Identity", v)
        copy.name, copy.type = name, ir.TensorType(dtype)
        graph.outputs.append(copy)
    return ir.Model(graph, ir_version=10)


def _run(model: ir.Model, x: Any) -> list[Any]:
    proto = ir.to_proto(model).SerializeToString()
    session = ort.InferenceSession(proto, providers=["CPUExecutionProvider"])
    return list(session.run(None, {"x": x}))


def _shortened(**options: Any) -> ir.Model:
    model = _graph(**options)
    shorten_masking(model.graph)
    tidy(model)
    return model


CHOICE, PRODUCT = _shortened(by_choice=True), _shortened(by_choice=False)


@given(
    batch=st.integers(1, 3),
    time=st.integers(1, 5),
    seed=st.integers(0, 999),
    by_choice=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_the_same_masks_and_values(batch: int, time: int, seed: int, by_choice: bool) -> None:
    rng = np.random.default_rng(seed)
    x = rng.choice([-1.0, 0.0, 2.5, np.nan], (batch, time, 4), p=[0.6, 0.2, 0.1, 0.1])
    x[rng.random((batch, time)) < 0.4] = -1.0
    x = x.astype(np.float32)
    expected = _run(_graph(by_choice=by_choice), x)
    received = _run(CHOICE if by_choice else PRODUCT, x)
    np.testing.assert_array_equal(received[0], (x != -1).any(2))
    for one, other in zip(expected, received, strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_is_shorter() -> None:
    for model in (CHOICE, PRODUCT):
        ops = Counter(node.op_type for node in model.graph)
        assert (ops["ReduceSum"], ops["ReduceMin"], ops["Equal"]) == (0, 1, 1)
        assert (ops["Greater"], ops["Mul"] + ops["Where"], ops["Not"]) == (0, 1, 1)


def test_other_comparisons_stay() -> None:
    """Over time instead of features; against a threshold."""
    over_time = _graph(by_choice=False, axes=1)
    shorten_masking(over_time.graph)
    assert Counter(n.op_type for n in over_time.graph)["ReduceSum"] == 2


def test_what_stood_before_the_mask() -> None:
    """Only where it is this very mask, over the features, and zeros stand for the rest."""
    for graph in (CHOICE.graph, PRODUCT.graph):
        mask, masked = (v.producer().inputs[0] for v in graph.outputs)  # type: ignore[union-attr]
        assert mask is not None
        assert masked is not None
        assert unmasked(masked, mask) is graph.inputs[0]
        assert unmasked(masked, value("another", ["B", "T"], BOOL)) is masked
        assert unmasked(graph.inputs[0], mask) is graph.inputs[0]
        emit = Emitter(graph, prefix="other/")
        for axis, rest in ((1, 0.0), (2, 1.0)):
            lifted = emit.op("Unsqueeze", mask, emit.ints(axis))
            other = emit.op("Where", lifted, graph.inputs[0], emit.real(rest))
            assert unmasked(other, mask) is other
