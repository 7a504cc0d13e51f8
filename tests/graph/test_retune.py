"""Operators switched to Scans and back compute the same as the plain NumPy layer."""

from __future__ import annotations

from collections import Counter
from typing import Any

import hypothesis.strategies as st
import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from hypothesis import given, settings

from rnnport.graph.lower import lower
from rnnport.graph.retune import switch, switches
from rnnport.graph.skeleton import Skeleton
from rnnport.recurrent import CellKind, RecurrentSpec
from tests.graph import numpy_cells
from tests.graph.numpy_cells import cell
from tests.graph.skeletons import close, draw, model, recurrent, value

OPERATORS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}
VARIANTS: list[tuple[CellKind, bool]] = [
    ("LSTM", False),
    ("GRU", False),
    ("GRU", True),
    ("SimpleRNN", False),
]


def lowered(spec: RecurrentSpec, target: str = "portable") -> ir.Model:
    """x, s0… in; outputs, last and finals out."""
    specs: dict[str, RecurrentSpec] = {}
    inputs = [value("x", ["B", "T", spec.cells[0].features])]
    units = [c.units for c in spec.cells for _ in c.states]
    if spec.has_state:
        inputs += [value(f"s{i}", ["B", u]) for i, u in enumerate(units)]
    node = recurrent(specs, spec, inputs)
    skeleton = Skeleton(model(inputs, [node], list(node.outputs)), specs)
    lower(skeleton, target)
    return skeleton.model


def ops(graph: ir.Model) -> Counter[str]:
    return Counter(node.op_type for node in graph.graph)


def run(graph: ir.Model, inputs: dict[str, Any]) -> list[Any]:
    proto = ir.to_proto(graph).SerializeToString()
    session = ort.InferenceSession(proto, providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


def assert_like_numpy(spec: RecurrentSpec, graph: ir.Model, batch: int, time: int) -> None:
    inputs = draw(spec, batch, time, seed=time)
    states = [v for k, v in inputs.items() if k.startswith("s")]
    outputs, last, finals = numpy_cells.run(spec, inputs["x"], states, None)
    close([outputs, last, *finals], run(graph, inputs))


@pytest.mark.parametrize(("kind", "reset_after"), VARIANTS)
@given(
    backwards=st.booleans(),
    input_order=st.booleans(),
    states=st.booleans(),
    batch=st.integers(1, 4),
    time=st.integers(1, 6),
    seed=st.integers(0, 99),
)
@settings(max_examples=15, deadline=None)
def test_there_and_back(
    kind: CellKind,
    reset_after: bool,
    backwards: bool,
    input_order: bool,
    states: bool,
    batch: int,
    time: int,
    seed: int,
) -> None:
    spec = RecurrentSpec(
        "layer",
        kind,
        (cell(kind, reset_after=reset_after, seed=seed),),
        go_backwards=backwards,
        input_order=input_order and backwards,
        has_state=states,
    )
    graph = lowered(spec)
    operator = OPERATORS[kind]
    (wish,) = switches(graph)
    assert (wish.layer, wish.now, wish.then) == ("layer", operator, "Scan")
    switch(graph, wish)
    assert (ops(graph)[operator], ops(graph)["Scan"]) == (0, 1)
    assert_like_numpy(spec, graph, batch, time)
    found = switches(graph)
    if kind != "SimpleRNN":
        assert not found  # only a SimpleRNN's Scan has a way back
        return
    assert (found[0].layer, found[0].now, found[0].then) == ("layer", "Scan", "RNN")
    switch(graph, found[0])
    assert (ops(graph)["RNN"], ops(graph)["Scan"]) == (1, 0)
    assert_like_numpy(spec, graph, batch, time)


def test_a_scan_of_target_cpu() -> None:
    for activation in ("Tanh", "Relu"):
        spec = RecurrentSpec("layer", "SimpleRNN", (cell("SimpleRNN", activation=activation),))
        graph = lowered(spec, "cpu")
        (wish,) = switches(graph)
        switch(graph, wish)
        assert (ops(graph)["RNN"], ops(graph)["Scan"]) == (1, 0)
        for size in ((1, 1), (3, 7)):
            assert_like_numpy(spec, graph, *size)


def test_cells_on_top_of_one_another() -> None:
    """Each can be switched by itself, in any order."""
    cells = (cell("GRU", features=3, units=4), cell("LSTM", features=4, units=2, seed=1))
    spec = RecurrentSpec("layer", "RNN", cells, has_state=True)
    for order in ((0, 1), (1, 0)):
        graph = lowered(spec)
        wishes = switches(graph)
        assert [wish.now for wish in wishes] == ["GRU", "LSTM"]
        for k in order:
            switch(graph, wishes[k])
            assert_like_numpy(spec, graph, 3, 5)
        assert ops(graph)["Scan"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "Elu"},
        {"recurrent_activation": "HardSigmoid"},
    ],
)
def test_activations_with_parameters_stay(change: dict[str, str]) -> None:
    graph = lowered(RecurrentSpec("layer", "LSTM", (cell("LSTM", **change),)))
    assert ops(graph)["LSTM"] == 1
    assert switches(graph) == []


def test_masked_layers_stay() -> None:
    spec = RecurrentSpec("layer", "LSTM", (cell("LSTM"),), has_mask=True)
    specs: dict[str, RecurrentSpec] = {}
    inputs = [value("x", ["B", "T", 3]), value("mask", ["B", "T"], ir.DataType.BOOL)]
    node = recurrent(specs, spec, inputs)
    skeleton = Skeleton(model(inputs, [node], list(node.outputs[:1])), specs)
    lower(skeleton, "cpu")
    assert switches(skeleton.model) == []


def test_a_node_that_is_not_there() -> None:
    graph = lowered(RecurrentSpec("layer", "GRU", (cell("GRU"),)))
    (wish,) = switches(graph)
    switch(graph, wish)
    with pytest.raises(ValueError, match="no node"):
        switch(graph, wish)


def test_weights_stand_once() -> None:
    """Those of the operator are gone."""
    graph = lowered(RecurrentSpec("layer", "LSTM", (cell("LSTM"),)))
    before = sum(v.const_value.size for v in graph.graph.initializers.values())  # type: ignore[union-attr]
    (wish,) = switches(graph)
    switch(graph, wish)
    after = sum(v.const_value.size for v in graph.graph.initializers.values())  # type: ignore[union-attr]
    assert after <= before + 16
    assert np.isfinite(after)
