"""Scan, with the input projection outside of the loop."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from rnnport.recurrent import Activation, CellKind, RecurrentSpec
from tests.graph.numpy_cells import cell
from tests.graph.skeletons import assert_like_numpy, draw, one_layer


def _body(nodes: list[onnx.NodeProto]) -> bytes:
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["B", "U"]) for n in "xy"]
    graph = helper.make_graph(nodes, "body", ports[:1], ports[1:])
    imports = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=imports, ir_version=10).SerializeToString())


SWISH = Activation(
    "Custom",
    body=_body(
        [helper.make_node("Sigmoid", ["x"], ["s"]), helper.make_node("Mul", ["x", "s"], ["y"])]
    ),
    label="swish",
)
SOFTMAX = Activation(
    "Custom", body=_body([helper.make_node("Softmax", ["x"], ["y"], axis=-1)]), label="softmax"
)
VARIANTS: list[tuple[CellKind, bool]] = [
    ("LSTM", False),
    ("GRU", True),
    ("GRU", False),
    ("SimpleRNN", False),
]


def _scan_body(proto: onnx.ModelProto) -> onnx.GraphProto:
    (scan,) = (n for n in proto.graph.node if n.op_type == "Scan")
    (body,) = (a.g for a in scan.attribute if a.name == "body")
    return body


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("kind", "reset_after"), VARIANTS)
def test_custom_activation(
    kind: CellKind, reset_after: bool, masked: bool, backwards: bool
) -> None:
    one = cell(kind, activation=SWISH, reset_after=reset_after, seed=2)
    for has_state in (False, True):
        spec = RecurrentSpec(
            "layer", kind, (one,), go_backwards=backwards, has_mask=masked, has_state=has_state
        )
        ready = one_layer(spec)
        assert ready.ops["Scan"] == 1
        assert not {"Loop", "If", "LSTM", "GRU", "RNN"} & set(ready.ops)
        (report,) = ready.reports
        assert (report.lowering, report.reason) == (
            "Scan",
            "activation swish is not one ONNX names",
        )
        for batch, time in ((3, 7), (1, 1), (4, 12)):
            assert_like_numpy(spec, ready, draw(spec, batch, time, seed=time))


@pytest.mark.parametrize(("kind", "reset_after"), VARIANTS)
def test_the_input_product_stands_outside(kind: CellKind, reset_after: bool) -> None:
    one = cell(kind, activation=SWISH, reset_after=reset_after)
    ready = one_layer(RecurrentSpec("layer", kind, (one,)))
    inside = [n.op_type for n in _scan_body(ready.proto).node]
    outside = [n.op_type for n in ready.proto.graph.node]
    assert outside.count("MatMul") == 1
    assert inside.count("MatMul") == (2 if (kind, reset_after) == ("GRU", False) else 1)
    assert not _scan_body(ready.proto).initializer  # weights are stored once, outside


@pytest.mark.parametrize("gate", [False, True])
def test_functions_that_mix_units(gate: bool) -> None:
    roles = {"recurrent_activation": SOFTMAX} if gate else {"activation": SOFTMAX}
    spec = RecurrentSpec("layer", "LSTM", (cell("LSTM", **roles),))
    assert_like_numpy(spec, one_layer(spec), draw(spec, 3, 6))


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("input_order", [False, True])
def test_simple_rnn_on_cpu(zero: bool, input_order: bool) -> None:
    spec = RecurrentSpec(
        "layer",
        "SimpleRNN",
        (cell("SimpleRNN"),),
        go_backwards=True,
        input_order=input_order,
        zero_output_for_mask=zero,
        has_mask=True,
        has_state=True,
    )
    ready = one_layer(spec, "cpu")
    assert ready.ops["Scan"] == 1
    assert (ready.reports[0].lowering, ready.reports[0].reason) == ("Scan, packed", "masked")
    for seed in range(4):
        assert_like_numpy(spec, ready, draw(spec, 4, 6, seed=seed))
    assert one_layer(spec, "portable").ops["Scan"] == 0


def test_masked_gates_that_do_not_saturate() -> None:
    """Only an LSTM whose final c is read has to hold it behind the compacted steps."""
    lstm = cell("LSTM", recurrent_activation="Softsign", seed=6)
    spec = RecurrentSpec("layer", "LSTM", (lstm,), has_mask=True)
    ready = one_layer(spec)
    assert ready.reports[0].reason == "masked, and the gates do not saturate at 0 and 1"
    assert ready.ops["Scan"] == 1
    assert_like_numpy(spec, ready, draw(spec, 3, 5))
    assert one_layer(spec, reads=["outputs", "last"]).ops["Scan"] == 0
    gru = RecurrentSpec(
        "layer", "GRU", (cell("GRU", recurrent_activation="Softsign", seed=6),), has_mask=True
    )
    ready = one_layer(gru)
    assert (ready.ops["GRU"], ready.ops["Scan"]) == (1, 0)
    assert_like_numpy(gru, ready, draw(gru, 3, 5))


def test_stacked_cells_of_both_sorts() -> None:
    cells = (
        cell("LSTM", units=4, seed=1),
        cell("GRU", features=4, units=2, activation=SWISH, reset_after=True, seed=2),
    )
    spec = RecurrentSpec("layer", "RNN", cells, has_mask=True, has_state=True)
    ready = one_layer(spec)
    assert ready.ops["Scan"] == 2
    assert_like_numpy(spec, ready, draw(spec, 3, 6))
