from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from rnnport.graph.skeleton import Skeleton
from rnnport.graph.tidy import cancel_transposes
from rnnport.recurrent import CellKind, RecurrentSpec
from tests.graph import numpy_cells
from tests.graph.numpy_cells import cell
from tests.graph.skeletons import BOOL, FLOAT, close, model, ready, recurrent, value


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_no_transposes_between_stacked_layers(kind: CellKind, depth: int) -> None:
    known: dict[str, RecurrentSpec] = {}
    x = value("x", ["B", "T", 3])
    nodes: list[ir.Node] = []
    specs = []
    for n in range(depth):
        spec = RecurrentSpec(f"layer{n}", kind, (cell(kind, features=4 if n else 3, seed=n),))
        nodes.append(recurrent(known, spec, [nodes[-1].outputs[0] if nodes else x]))
        specs.append(spec)
    graph = ready(Skeleton(model([x], nodes, [nodes[-1].outputs[0]]), known))
    assert graph.ops["Transpose"] == 2  # in and out
    assert graph.ops["RNN" if kind == "SimpleRNN" else kind] == depth
    sequence = np.random.default_rng(1).standard_normal((2, 5, 3)).astype(np.float32)
    y = sequence
    for spec in specs:
        y = numpy_cells.run(spec, y)[0]
    close([y], graph.run(x=sequence))


def test_only_the_last_output_needs_no_transpose_back() -> None:
    known: dict[str, RecurrentSpec] = {}
    x = value("x", ["B", "T", 3])
    first = recurrent(known, RecurrentSpec("a", "LSTM", (cell("LSTM"),)), [x])
    spec = RecurrentSpec("b", "LSTM", (cell("LSTM", features=4, seed=1),))
    second = recurrent(known, spec, [first.outputs[0]])
    graph = ready(Skeleton(model([x], [first, second], [second.outputs[1]]), known))
    assert graph.ops == Counter(LSTM=2, Squeeze=2, Transpose=1)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_bidirectional_layers_join_their_halves_at_once(depth: int) -> None:
    """Concat of both halves is one Transpose and one Reshape, whatever stands around it."""
    known: dict[str, RecurrentSpec] = {}
    x = value("x", ["B", "T", 3])
    current, nodes = x, []
    for n in range(depth):
        features = 8 if n else 3
        forward = RecurrentSpec(
            f"b{n}", "LSTM", (cell("LSTM", features=features, seed=n),), pair=f"p{n}"
        )
        backward = replace(
            forward,
            cells=(cell("LSTM", features=features, seed=n + 9),),
            go_backwards=True,
            input_order=True,
        )
        halves = [recurrent(known, spec, [current]) for spec in (forward, backward)]
        joined = ir.node("Concat", [h.outputs[0] for h in halves], {"axis": -1})
        joined.outputs[0].name = f"joined{n}"
        nodes += [*halves, joined]
        current = joined.outputs[0]
    current.type, current.shape = ir.TensorType(FLOAT), ir.Shape(["B", "T", 8])
    graph = ready(Skeleton(model([x], nodes, [current]), known))
    assert graph.ops["LSTM"] == depth
    assert graph.ops["Concat"] == graph.ops["Split"] == 0
    assert graph.ops["Reshape"] == depth
    y = sequence = np.random.default_rng(1).standard_normal((2, 5, 3)).astype(np.float32)
    specs = list(known.values())
    for one, other in zip(specs[::2], specs[1::2], strict=True):
        y = np.concatenate([numpy_cells.run(s, y)[0] for s in (one, other)], axis=-1)
    close([y], graph.run(x=sequence))


def _transposes(*perms: list[int]) -> tuple[ir.Graph, list[ir.Node]]:
    x = value("x", ["a", "b", "c"])
    nodes: list[ir.Node] = []
    for n, perm in enumerate(perms):
        source = nodes[-1].outputs[0] if nodes else x
        nodes.append(ir.node("Transpose", [source], {"perm": perm}))
        nodes[-1].outputs[0].name = f"t{n}"
    end = ir.node("Relu", [nodes[-1].outputs[0]])
    end.outputs[0].name = "y"
    graph = ir.Graph([x], end.outputs, nodes=[*nodes, end], opset_imports={"": 18}, name="g")
    return graph, [*nodes, end]


def test_a_transpose_and_its_inverse_vanish() -> None:
    graph, nodes = _transposes([1, 2, 0], [2, 0, 1])
    cancel_transposes(graph)
    assert nodes[-1].inputs[0] is graph.inputs[0]


def test_two_transposes_become_one() -> None:
    graph, nodes = _transposes([1, 2, 0], [1, 2, 0])
    cancel_transposes(graph)
    (source,) = nodes[-1].inputs
    assert source is not None
    producer = source.producer()
    assert producer is not None
    assert producer.inputs[0] is graph.inputs[0]
    assert producer.attributes["perm"].as_ints() == (2, 0, 1)


def test_shared_masks_are_compacted_once() -> None:
    known: dict[str, RecurrentSpec] = {}
    x, mask = value("x", ["B", "T", 3]), value("mask", ["B", "T"], BOOL)
    nodes: list[ir.Node] = []
    for n in range(3):
        spec = RecurrentSpec(
            f"l{n}", "LSTM", (cell("LSTM", features=4 if n else 3, seed=n),), has_mask=True
        )
        nodes.append(recurrent(known, spec, [nodes[-1].outputs[0] if nodes else x, mask]))
    graph = ready(Skeleton(model([x, mask], nodes, [nodes[-1].outputs[0]]), known))
    assert (graph.ops["LSTM"], graph.ops["CumSum"], graph.ops["ScatterElements"]) == (3, 1, 1)
