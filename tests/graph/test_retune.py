"""Operators switched to Scans and back compute the same as the plain NumPy layer."""

from __future__ import annotations

from collections import Counter
from typing import Any

import hypothesis.strategies as st
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from onnx import TensorProto, helper, numpy_helper

from rnnport.graph.lower import lower
from rnnport.graph.retune import switch, switches
from rnnport.graph.skeleton import Skeleton
from rnnport.recurrent import Activation, CellKind, CellSpec, RecurrentSpec
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
    skeleton = Skeleton(model(inputs, [node], list(node.outputs)), {**specs})
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
    "given",
    [
        cell("LSTM", activation=Activation("Elu", alpha=0.5)),
        cell("LSTM", recurrent_activation=Activation("HardSigmoid", alpha=0.2, beta=0.5)),
        cell("GRU", activation=Activation("ScaledTanh", alpha=1.7, beta=0.6)),
        cell("SimpleRNN", activation=Activation("LeakyRelu", alpha=0.3)),
    ],
    ids=lambda given: f"{given.kind} {given.activation.op} {given.recurrent_activation.op}",
)
def test_activations_with_parameters_stay(given: CellSpec) -> None:
    graph = lowered(RecurrentSpec("layer", given.kind, (given,)))
    node = next(node for node in graph.graph if node.op_type == OPERATORS[given.kind])
    assert {"activation_alpha", "activation_beta"} & set(node.attributes)
    assert switches(graph) == []


def test_masked_layers_stay() -> None:
    spec = RecurrentSpec("layer", "LSTM", (cell("LSTM"),), has_mask=True)
    specs: dict[str, RecurrentSpec] = {}
    inputs = [value("x", ["B", "T", 3]), value("mask", ["B", "T"], ir.DataType.BOOL)]
    node = recurrent(specs, spec, inputs)
    skeleton = Skeleton(model(inputs, [node], list(node.outputs[:1])), {**specs})
    lower(skeleton, "cpu")
    assert switches(skeleton.model) == []


def test_a_node_that_is_not_there() -> None:
    graph = lowered(RecurrentSpec("layer", "GRU", (cell("GRU"),)))
    (wish,) = switches(graph)
    switch(graph, wish)
    with pytest.raises(ValueError, match="no GRU gives"):
        switch(graph, wish)


def test_weights_stand_once() -> None:
    """Those of the operator are gone."""
    graph = lowered(RecurrentSpec("layer", "LSTM", (cell("LSTM"),)))
    before = held(graph)
    (wish,) = switches(graph)
    switch(graph, wish)
    assert held(graph) <= before + 16


def held(graph: ir.Model) -> int:
    tensors = [value.const_value for value in graph.graph.initializers.values()]
    return sum(tensor.size for tensor in tensors if tensor is not None)


def reloaded(graph: ir.Model) -> ir.Model:
    """As it comes back from a file, in which counters of names are not kept."""
    proto = ir.to_proto(graph)
    onnx.checker.check_model(proto)
    return ir.from_proto(proto)


def test_layers_are_switched_one_by_one_through_files() -> None:
    """Cells of one layer share its name; what they are switched to must not share theirs."""
    cells = (cell("GRU", features=3, units=4), cell("GRU", features=4, units=4, seed=1))
    spec = RecurrentSpec("layer", "RNN", cells)
    graph = lowered(spec)
    wishes = switches(graph)
    assert [wish.layer for wish in wishes] == ["layer", "layer"]
    for wish in wishes:
        switch(graph, wish)
        graph = reloaded(graph)
        assert_like_numpy(spec, graph, 3, 5)
    assert (ops(graph)["GRU"], ops(graph)["Scan"]) == (0, 2)
    assert switches(graph) == []


def test_there_and_back_and_there_through_files() -> None:
    spec = RecurrentSpec("layer", "SimpleRNN", (cell("SimpleRNN"),))
    graph = lowered(spec)
    for then in ("Scan", "RNN", "Scan", "RNN"):
        (wish,) = switches(graph)
        assert (wish.layer, wish.then) == ("layer", then)
        switch(graph, wish)
        graph = reloaded(graph)
        assert_like_numpy(spec, graph, 2, 4)


def by_hand(*nodes: onnx.NodeProto, rank: int = 4, dtype: int = TensorProto.FLOAT) -> ir.Model:
    """x (T, B, 2) to y through nodes without names, of two units and random weights."""
    rng = np.random.default_rng(0)
    floats = helper.tensor_dtype_to_np_dtype(dtype)
    weights = {"W": (1, 8, 2), "R": (1, 8, 2), "Wg": (1, 6, 2), "Rg": (1, 6, 2), "Bg": (1, 12)}
    arrays = {n: rng.standard_normal(shape).astype(floats) for n, shape in weights.items()}
    arrays["a1"] = np.array([1])
    used = {name for node in nodes for name in node.input}
    inputs: dict[str, list[str | int]] = {"x": ["T", "B", 2], "s": [1, "B", 2], "b": [1, 12]}
    graph = helper.make_graph(
        list(nodes),
        "foreign",
        [helper.make_tensor_value_info(n, dtype, s) for n, s in inputs.items() if n in used],
        [helper.make_tensor_value_info("y", dtype, list("klmn")[:rank])],
        [numpy_helper.from_array(a, n) for n, a in arrays.items() if n in used],
    )
    opset = [helper.make_opsetid("", 18)]
    return ir.from_proto(helper.make_model(graph, opset_imports=opset, ir_version=10))


def gru(x: str, outputs: list[str], bias: str = "Bg", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node("GRU", [x, "Wg", "Rg", bias], outputs, hidden_size=2, **attributes)


def squeezed(source: str, to: str) -> onnx.NodeProto:
    return helper.make_node("Squeeze", [source, "a1"], [to])


X, S = (np.random.default_rng(1).standard_normal(s).astype("f") for s in ((5, 3, 2), (1, 3, 2)))


def assert_unchanged_by_switching(graph: ir.Model, inputs: dict[str, Any], count: int) -> None:
    """All operators become Scans, one after the other and through files."""
    expected = run(graph, inputs)
    wishes = switches(graph)
    assert len({wish.value for wish in wishes}) == len(wishes) == count
    for wish in wishes:
        switch(graph, wish)
        graph = reloaded(graph)
    assert ops(graph)["Scan"] == count
    for one, other in zip(expected, run(graph, inputs), strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= 1e-6


def test_nodes_without_names() -> None:
    """Weights of one must not be taken for those of the other."""
    nodes = [
        gru("x", ["g"]),
        squeezed("g", "h"),
        helper.make_node("LSTM", ["h", "W", "R"], ["l"], hidden_size=2),
        squeezed("l", "i"),
        gru("i", ["", "y"], linear_before_reset=1),
    ]
    assert_unchanged_by_switching(by_hand(*nodes, rank=3), {"x": X}, 3)
    assert [wish.layer for wish in switches(by_hand(*nodes, rank=3))] == ["g", "l", "y"]


@pytest.mark.parametrize("places", [["s"], ["", "s"], ["s", "s"]])
def test_some_states_start_from_zeros(places: list[str]) -> None:
    words = ["x", "W", "R", "", "", *places]
    graph = by_hand(helper.make_node("LSTM", words, ["y"], hidden_size=2))
    assert_unchanged_by_switching(graph, {"x": X, "s": S}, 1)


def test_a_squeeze_without_axes() -> None:
    graph = by_hand(gru("x", ["g"]), helper.make_node("Squeeze", ["g"], ["y"]), rank=3)
    assert_unchanged_by_switching(graph, {"x": X}, 1)


def test_what_is_not_understood_stays() -> None:
    assert switches(by_hand(gru("x", ["y"], bias="b"))) == []  # a bias that is given anew
    assert switches(by_hand(gru("x", ["y"], clip=1.0))) == []
    assert switches(by_hand(gru("x", ["y"], activation_alpha=[0.1]))) == []
    assert switches(by_hand(gru("x", ["y"], activations=["HardSigmoid", "Tanh"]))) == []
    assert switches(by_hand(gru("x", ["y"]), dtype=TensorProto.DOUBLE)) == []
    assert len(switches(by_hand(gru("x", ["y"])))) == 1
