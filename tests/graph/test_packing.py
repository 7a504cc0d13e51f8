"""Packed steps by onnxruntime against loops in plain Python; masked values are never read."""

from __future__ import annotations

import functools
from typing import Any

import hypothesis.strategies as st
import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays

from rnnport.graph.emit import Emitter
from rnnport.graph.packing import packing
from rnnport.recurrent import CellKind, RecurrentSpec
from tests.graph.numpy_cells import cell
from tests.graph.skeletons import BOOL, assert_like_numpy, draw, one_layer, value

FEATURES = 3
MASKS = arrays.arrays(
    bool, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.booleans(), fill=st.nothing()
)


@functools.cache
def _session(backwards: bool, zeroed: bool) -> ort.InferenceSession:
    """mask, x in; lengths, packed x, and packed x unpacked again in four ways out."""
    inputs = [value("mask", ["B", "T"], BOOL), value("x", ["B", "T", FEATURES])]
    graph = ir.Graph(inputs, [], nodes=[], opset_imports={"": 18}, name="packing")
    emit = Emitter(graph)
    mask, x = inputs
    plan = packing(emit, mask, backwards=backwards)
    packed = plan.pack(emit, x, FEATURES)
    y = _zero_behind(emit, packed, plan.column) if zeroed else packed
    rows = plan.rows_of(emit, y, FEATURES, zeroed=zeroed)
    found = {
        "lengths": plan.lengths,
        "packed": packed,
        "repeated": plan.unpack(emit, rows, plan.seen, flip=False),
        "zeros": plan.unpack(emit, rows, plan.mask, flip=False),
        "flipped": plan.unpack(emit, rows, plan.seen, flip=True),
        "last": plan.last(emit, rows, plan.any_valid),
    }
    for name, v in found.items():
        copy = emit.op("Identity", v)
        copy.name = f"out_{name}"
        copy.type = ir.TensorType(ir.DataType.INT32 if name == "lengths" else ir.DataType.FLOAT)
        graph.outputs.append(copy)
    proto = ir.to_proto(ir.Model(graph, ir_version=10)).SerializeToString()
    return ort.InferenceSession(proto, providers=["CPUExecutionProvider"])


def _zero_behind(emit: Emitter, y: ir.Value, column: ir.Value) -> ir.Value:
    """What an operator with lengths does."""
    length = emit.op("Squeeze", emit.size(y, 0), emit.ints(0))
    steps = emit.op("Range", emit.integer(0), length, emit.integer(1))  # (T',)
    valid = emit.op("Less", emit.op("Unsqueeze", steps, emit.ints(0)), column)  # (B, T')
    turned = emit.op("Transpose", valid, perm=[1, 0])
    return emit.op("Where", emit.op("Unsqueeze", turned, emit.ints(2)), y, emit.real(0.0))


def _check(mask: Any, backwards: bool, zeroed: bool) -> None:
    batch, time = mask.shape
    x = np.random.default_rng(time).standard_normal((batch, time, FEATURES)).astype(np.float32)
    if mask.any():
        x[~mask] = np.nan  # whoever reads it gives it away
    session = _session(backwards, zeroed)
    names = [o.name.removeprefix("out_") for o in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"mask": mask, "x": x}), strict=True))
    order = slice(None, None, -1) if backwards else slice(None)
    steps, valid = x[:, order], mask[:, order]
    lengths = mask.sum(1)
    assert found["lengths"].tolist() == lengths.tolist()
    assert found["packed"].shape == (min(max(lengths) + 1, time), batch, FEATURES)
    repeated, zeros = np.zeros_like(x), np.zeros_like(x)
    for b in range(batch):
        own = steps[b, valid[b]]
        np.testing.assert_array_equal(found["packed"][: len(own), b], own)
        for t in range(time):
            count = valid[b, : t + 1].sum()
            repeated[b, t] = own[count - 1] if count else 0
            zeros[b, t] = own[count - 1] if valid[b, t] else 0
    np.testing.assert_array_equal(found["repeated"], repeated)
    np.testing.assert_array_equal(found["zeros"], zeros)
    np.testing.assert_array_equal(found["flipped"], repeated[:, ::-1])
    np.testing.assert_array_equal(found["last"], repeated[:, -1])
    if mask.any():
        assert np.isfinite(found["packed"]).all()


@given(mask=MASKS, backwards=st.booleans(), zeroed=st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_mask(mask: Any, backwards: bool, zeroed: bool) -> None:
    _check(mask, backwards, zeroed)


@pytest.mark.parametrize("zeroed", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("valid", [False, True])
def test_uniform_masks(valid: bool, backwards: bool, zeroed: bool) -> None:
    _check(np.full((3, 5), valid), backwards, zeroed)
    _check(np.full((1, 1), valid), backwards, zeroed)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
@given(
    mask=MASKS,
    backwards=st.booleans(),
    input_order=st.booleans(),
    zero=st.booleans(),
    states=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_layers(
    kind: CellKind,
    mask: Any,
    backwards: bool,
    input_order: bool,
    zero: bool,
    states: bool,
    seed: int,
) -> None:
    spec = RecurrentSpec(
        "layer",
        kind,
        (cell(kind),),
        go_backwards=backwards,
        input_order=input_order and backwards,
        zero_output_for_mask=zero,
        has_mask=True,
        has_state=states,
    )
    ready = _ready(kind, spec.go_backwards, spec.input_order, zero, states)
    inputs = draw(spec, *mask.shape, seed=seed, mask=mask)
    assert_like_numpy(spec, ready, inputs)


@functools.cache
def _ready(kind: CellKind, backwards: bool, input_order: bool, zero: bool, states: bool) -> Any:
    spec = RecurrentSpec(
        "layer",
        kind,
        (cell(kind),),
        go_backwards=backwards,
        input_order=input_order,
        zero_output_for_mask=zero,
        has_mask=True,
        has_state=states,
    )
    ready = one_layer(spec, "cpu")
    assert "packed" in ready.reports[0].lowering
    assert ready.ops["Loop"] == 0
    return ready


def test_masked_values_are_never_read() -> None:
    """NaN there reaches nothing, nor does it in a row without a valid step."""
    spec = RecurrentSpec("layer", "LSTM", (cell("LSTM"),), has_mask=True)
    mask = np.array([[False, True, False, True], [False] * 4, [True] * 4])
    inputs = draw(spec, 3, 4, mask=mask)
    clean = _ready("LSTM", False, False, False, False).run(**inputs)
    inputs["x"][~mask] = np.nan
    spoilt = _ready("LSTM", False, False, False, False).run(**inputs)
    for one, other in zip(clean, spoilt, strict=True):
        np.testing.assert_array_equal(one, other)


def test_stacked_cells() -> None:
    """A SimpleRNN below, between and above fused cells."""
    cells = (
        cell("SimpleRNN", features=3, units=4),
        cell("LSTM", features=4, units=5, seed=1),
        cell("SimpleRNN", features=5, units=2, seed=2),
    )
    for order in (cells, cells[:2]):
        spec = RecurrentSpec("layer", "RNN", order, has_mask=True, has_state=True)
        ready = one_layer(spec, "cpu")
        for seed in range(6):
            assert_like_numpy(spec, ready, draw(spec, 3, 7, seed=seed))
