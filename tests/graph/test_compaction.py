"""Index tensors made by onnxruntime against loops in plain Python."""

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

from rnnport.graph.compaction import compaction
from rnnport.graph.emit import Emitter
from tests.graph.skeletons import BOOL, value

FIELDS = ("mask", "lengths", "gather", "padding", "seen", "back", "last", "any_valid")
BOOLS = ("mask", "padding", "seen", "any_valid")
FEATURES = 3


@functools.cache
def _session(backwards: bool) -> ort.InferenceSession:
    """mask, x, y in; every index tensor, then x compacted, y expanded, flipped, and final out."""
    inputs = [value("mask", ["B", "T"], BOOL), value("x", ["B", "T", FEATURES])]
    inputs.append(value("y", ["T", "B", FEATURES]))
    graph = ir.Graph(inputs, [], nodes=[], opset_imports={"": 18}, name="compaction")
    emit = Emitter(graph)
    mask, x, y = inputs
    plan = compaction(emit, mask, backwards=backwards)
    found = {name: getattr(plan, name) for name in FIELDS}
    found["compact"] = plan.compact(emit, x)
    found["expand"] = plan.expand(emit, y, flip=False)
    found["flipped"] = plan.expand(emit, y, flip=True)
    found["final"] = plan.final(emit, y)
    for name, v in found.items():
        copy = emit.op("Identity", v)
        floats = name in ("compact", "expand", "flipped", "final")
        dtype = ir.DataType.FLOAT if floats else ir.DataType.INT64
        copy.name, copy.type = f"out_{name}", ir.TensorType(BOOL if name in BOOLS else dtype)
        graph.outputs.append(copy)
    proto = ir.to_proto(ir.Model(graph, ir_version=10)).SerializeToString()
    return ort.InferenceSession(proto, providers=["CPUExecutionProvider"])


def _expected(mask: Any, x: Any, y: Any, backwards: bool) -> dict[str, Any]:
    batch, time = mask.shape
    order = list(range(time))[::-1] if backwards else list(range(time))
    processed = mask[:, order]
    rows = [
        [t for t in order if mask[b, t]] + [t for t in order if not mask[b, t]]
        for b in range(batch)
    ]
    lengths = mask.sum(1)
    rank = np.maximum(processed.cumsum(1) - 1, 0)  # which valid step was the last one
    expand = np.stack([y[rank[b], b] for b in range(batch)])
    return {
        "mask": processed,
        "lengths": lengths,
        "gather": np.array([[b * time + rows[b][k] for b in range(batch)] for k in range(time)]),
        "padding": np.array([[[k >= lengths[b]] for b in range(batch)] for k in range(time)]),
        "seen": processed.cumsum(1) > 0,
        "back": rank * batch + np.arange(batch)[:, None],
        "last": np.maximum(lengths - 1, 0) * batch + np.arange(batch),
        "any_valid": mask.any(1, keepdims=True),
        "compact": np.stack([x[b, rows[b]] for b in range(batch)], axis=1),
        "expand": expand,
        "flipped": expand[:, ::-1],
        "final": np.stack([y[max(lengths[b] - 1, 0), b] for b in range(batch)]),
    }


MASKS = arrays.arrays(
    bool, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.booleans(), fill=st.nothing()
)


def _check(mask: Any, backwards: bool) -> None:
    batch, time = mask.shape
    rng = np.random.default_rng(time)
    x = rng.standard_normal((batch, time, FEATURES)).astype(np.float32)
    y = rng.standard_normal((time, batch, FEATURES)).astype(np.float32)
    session = _session(backwards)
    names = [o.name.removeprefix("out_") for o in session.get_outputs()]
    received = dict(zip(names, session.run(None, {"mask": mask, "x": x, "y": y}), strict=True))
    for name, expected in _expected(mask, x, y, backwards).items():
        assert received[name].shape == expected.shape, name
        assert np.array_equal(received[name], expected), name


@given(mask=MASKS, backwards=st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_mask(mask: Any, backwards: bool) -> None:
    _check(mask, backwards)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("valid", [False, True])
def test_uniform_masks(valid: bool, backwards: bool) -> None:
    _check(np.full((3, 5), valid), backwards)
    _check(np.full((1, 1), valid), backwards)
