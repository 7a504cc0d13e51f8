"""Two directions, one operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from rnnport.graph.skeleton import Skeleton
from rnnport.recurrent import CellKind, CellSpec, RecurrentSpec
from tests.graph import numpy_cells
from tests.graph.numpy_cells import cell
from tests.graph.skeletons import BOOL, Ready, close, model, ready, recurrent, value

VARIANTS: list[tuple[CellKind, bool]] = [("LSTM", False), ("GRU", True), ("GRU", False)]


def _specs(cells: Sequence[CellSpec], *, masked: bool, **options: Any) -> list[RecurrentSpec]:
    forward = RecurrentSpec(
        "both", cells[0].kind, (cells[0],), has_mask=masked, pair="both/pair", **options
    )
    backward = replace(
        forward, cells=(cells[1],), layer_kind=cells[1].kind, go_backwards=True, input_order=True
    )
    return [forward, backward]


def _both(specs: list[RecurrentSpec], target: str = "portable", *, turned: bool = False) -> Ready:
    """x and mask in; outputs, last and finals of both directions out, the forward one first."""
    known: dict[str, RecurrentSpec] = {}
    inputs = [value("x", ["B", "T", specs[0].cells[0].features])]
    if specs[0].has_mask:
        inputs.append(value("mask", ["B", "T"], BOOL))
    nodes = [recurrent(known, spec, inputs) for spec in specs]
    outputs = [v for node in nodes for v in node.outputs]
    nodes = nodes[::-1] if turned else nodes
    return ready(Skeleton(model(inputs, nodes, outputs), known), target)


def _check(specs: list[RecurrentSpec], graph: Ready) -> None:
    rng = np.random.default_rng(0)
    for batch, time in ((4, 6), (1, 1), (3, 9)):
        given = {"x": rng.standard_normal((batch, time, 3)).astype(np.float32)}
        if specs[0].has_mask:
            given["mask"] = rng.random((batch, time)) < 0.5
            given["mask"][0] = False
        expected: list[Any] = []
        for spec in specs:
            outputs, last, finals = numpy_cells.run(spec, given["x"], (), given.get("mask"))
            expected += [outputs, last, *finals]
        close(expected, graph.run(**given))


def _kernel(graph: Ready, op: str) -> onnx.TensorProto:
    (node,) = (n for n in graph.proto.graph.node if n.op_type == op)
    (found,) = (i for i in graph.proto.graph.initializer if i.name == node.input[1])
    return found


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("kind", "reset_after"), [*VARIANTS, ("SimpleRNN", False)])
def test_one_operator_without_a_mask(kind: CellKind, reset_after: bool, turned: bool) -> None:
    cells = [cell(kind, reset_after=reset_after, seed=s) for s in (1, 2)]
    specs = _specs(cells, masked=False)
    graph = _both(specs, turned=turned)
    op = "RNN" if kind == "SimpleRNN" else kind
    assert graph.ops[op] == 1
    assert not {"Loop", "Scan", "If"} & set(graph.ops)
    assert [r.lowering for r in graph.reports] == [f"{op} bidirectional"]
    assert numpy_helper.to_array(_kernel(graph, op)).shape[0] == 2
    _check(specs, graph)


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("reset_after", [False, True])
def test_masked_gru_is_one_operator_with_a_hold_column(reset_after: bool, zero: bool) -> None:
    cells = [cell("GRU", reset_after=reset_after, seed=s) for s in (1, 2)]
    specs = _specs(cells, masked=True, zero_output_for_mask=zero)
    graph = _both(specs)
    assert graph.ops["GRU"] == 1
    assert [r.lowering for r in graph.reports] == ["GRU bidirectional with hold column"]
    kernel = numpy_helper.to_array(_kernel(graph, "GRU"))
    assert kernel.shape == (2, 12, 3 + 1)
    assert np.array_equal(kernel[:, :4, 3], np.full((2, 4), np.float32(1e30)))
    _check(specs, graph)


@pytest.mark.parametrize("target", ["portable", "cpu"])
def test_masked_lstm_is_two(target: str) -> None:
    specs = _specs([cell("LSTM", seed=s) for s in (1, 2)], masked=True, zero_output_for_mask=True)
    graph = _both(specs, target)
    assert graph.ops["LSTM"] == 2
    assert not {"Loop", "Scan", "If"} & set(graph.ops)
    _check(specs, graph)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (cell("GRU", reset_after=True), cell("GRU", reset_after=False, seed=1)),
        (cell("LSTM", units=4), cell("LSTM", units=5, seed=1)),
        (cell("LSTM"), cell("GRU", seed=1)),
    ],
    ids=["reset_after", "units", "kind"],
)
@pytest.mark.parametrize("masked", [False, True])
def test_unlike_directions_stay_apart(one: CellSpec, other: CellSpec, masked: bool) -> None:
    specs = _specs([one, other], masked=masked)
    graph = _both(specs)
    assert graph.ops["LSTM"] + graph.ops["GRU"] == 2
    assert not {"Loop", "Scan", "If"} & set(graph.ops)
    _check(specs, graph)
