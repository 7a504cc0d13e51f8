from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from rnnport.graph.weights import HOLD, from_onnx_gates, onnx_weights, to_onnx_gates
from rnnport.recurrent import GATES, CellKind
from tests.graph.numpy_cells import cell

KINDS: tuple[CellKind, ...] = ("LSTM", "GRU", "SimpleRNN")


@given(kind=st.sampled_from(KINDS), units=st.integers(1, 7), rows=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_gate_orders_are_inverse(kind: CellKind, units: int, rows: int) -> None:
    shape = (rows, GATES[kind] * units) if rows else (GATES[kind] * units,)
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    there = to_onnx_gates(kind, array)
    assert there.shape == array.shape
    assert np.array_equal(from_onnx_gates(kind, there), array)
    assert np.array_equal(to_onnx_gates(kind, from_onnx_gates(kind, array)), array)


@pytest.mark.parametrize(
    ("kind", "keras", "onnx"),
    [("LSTM", "ifco", "iofc"), ("GRU", "zrh", "zrh"), ("SimpleRNN", *"ii")],
)
def test_gate_orders_by_name(kind: CellKind, keras: str, onnx: str) -> None:
    letters = np.array([ord(c) for c in keras], np.float32)
    assert "".join(chr(int(c)) for c in to_onnx_gates(kind, letters)) == onnx


@pytest.mark.parametrize("kind", KINDS)
def test_layout(kind: CellKind) -> None:
    spec = cell(kind, features=3, units=2, reset_after=kind == "GRU")
    weights, wide = onnx_weights(spec), GATES[kind] * 2
    assert (weights.w.shape, weights.r.shape, weights.b.shape) == (
        (wide, 3),
        (wide, 2),
        (2 * wide,),
    )
    assert np.array_equal(from_onnx_gates(kind, weights.w.T), spec.kernel)
    assert np.array_equal(from_onnx_gates(kind, weights.r.T), spec.recurrent_kernel)
    assert np.array_equal(from_onnx_gates(kind, weights.b[:wide]), spec.bias)
    assert np.array_equal(from_onnx_gates(kind, weights.b[wide:]), spec.recurrent_bias)


@pytest.mark.parametrize(
    ("kind", "column"), [("LSTM", [-HOLD, 0.0, HOLD, 0.0]), ("GRU", [HOLD, 0.0, 0.0])]
)
def test_hold_column(kind: CellKind, column: list[float]) -> None:
    """ONNX order: the LSTM's i o f c, the GRU's z r h."""
    spec = cell(kind, features=3, units=2)
    plain, held = onnx_weights(spec), onnx_weights(spec, hold=True)
    assert held.w.shape == (plain.w.shape[0], 4)
    assert np.array_equal(held.w[:, :3], plain.w)
    assert np.array_equal(held.w[:, 3], np.repeat(np.array(column, np.float32), 2))
    assert np.array_equal(held.r, plain.r)
    assert np.array_equal(held.b, plain.b)
    assert held.w.dtype == held.r.dtype == held.b.dtype == np.float32
