"""Wrapped indices are read as they are, where Gather wraps them in the same way."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from hypothesis import given, settings

from rnnport.graph.emit import Emitter
from rnnport.graph.indices import drop_wrapping
from rnnport.graph.tidy import tidy
from tests.graph.skeletons import value

INT32, FLOAT = ir.DataType.INT32, ir.DataType.FLOAT
SIZES = (4, 6)


def _graph(*, axis: int = 0, added: int | None = None, limit: int = 0, cast: bool = True) -> Any:
    """ids (B, T) in; the entries of a table (4, 6) along an axis out."""
    ids = value("ids", ["B", "T"], INT32)
    graph = ir.Graph([ids], [], nodes=[], opset_imports={"": 18}, name="lookup")
    emit = Emitter(graph)
    table = emit.weight("table", np.arange(24, dtype=np.float32).reshape(SIZES))
    count = SIZES[axis] if added is None else added
    compared = emit.op("Cast", ids, to=FLOAT.value) if cast else ids
    bound = np.array(limit, np.float32 if cast else np.int32)
    negative = emit.op("Less", compared, emit.weight("limit", bound))
    wrapped = emit.op("Add", ids, emit.weight("count", np.array(count, np.int32)))
    y = emit.op("Gather", table, emit.op("Where", negative, wrapped, ids), axis=axis)
    y.name, y.type = "y", ir.TensorType(FLOAT)
    graph.outputs.append(y)
    return ir.Model(graph, ir_version=10)


def _run(model: ir.Model, ids: Any) -> Any:
    proto = ir.to_proto(model).SerializeToString()
    session = ort.InferenceSession(proto, providers=["CPUExecutionProvider"])
    return session.run(None, {"ids": ids})[0]


@given(seed=st.integers(0, 999), axis=st.sampled_from([0, 1, -1]), cast=st.booleans())
@settings(max_examples=30, deadline=None)
def test_the_same_entries(seed: int, axis: int, cast: bool) -> None:
    size = SIZES[axis]
    ids = np.random.default_rng(seed).integers(-size, size, (2, 3)).astype(np.int32)
    short = _graph(axis=axis, cast=cast)
    drop_wrapping(short)
    tidy(short)
    assert [node.op_type for node in short.graph] == ["Gather"]
    np.testing.assert_array_equal(_run(_graph(axis=axis, cast=cast), ids), _run(short, ids))


@pytest.mark.parametrize("other", [{"added": 3}, {"limit": 1}, {"axis": 1, "added": 4}])
def test_other_arithmetic_stays(other: Any) -> None:
    model = _graph(**other)
    before = len(model.graph)
    drop_wrapping(model)
    tidy(model)
    assert len(model.graph) == before
