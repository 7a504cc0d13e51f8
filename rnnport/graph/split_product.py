"""Takes [x, h] W apart into x W_x + h W_h, so that the input's half can leave the loop.

Cells of TensorFlow 1, and many others, put input and state side by side and multiply once. Taken
apart, the loop has one more sum and one more sequence to read: measured, that pays for wide inputs
only. Axis letters: B batch, F features of the input, U units of the state, G columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import onnx_ir as ir

from rnnport.graph.emit import Emitter
from rnnport.graph.hoist import Shapes, Sizes, sizes_of_early

__all__ = ["split_products"]


# 256 features and 128 units, batch 32: a fifth to a third less time; 64 features: more time.
_WIDE = 128


@dataclass(frozen=True, eq=False)
class _Run:
    """Neighbouring operands of one Concat that are all known early, or all late.

    Attributes:
        values: they.
        rows: of the weight they meet; None where unknown.
        early: the cell's input alone decides them.
    """

    values: list[ir.Value]
    rows: int | None
    early: bool


def split_products(body: ir.Graph, steps: Mapping[ir.Value, Sizes], weights: ir.Graph) -> None:
    """Split every such product of a body, in place.

    Args:
        body: of one step.
        steps: its inputs that come from a sequence, and their sizes.
        weights: the graph that holds initialisers.
    """
    shapes = sizes_of_early(body, steps)
    for node in list(body):
        weight = _weight(node)
        runs = [] if weight is None else list(_runs(node, shapes))
        if weight is not None and _pays(runs, weight):
            _split(body, node, runs, weight, weights)


def _weight(node: ir.Node) -> ir.Value | None:
    """The constant (F + U, G) that a Concat over the last of two axes is multiplied with."""
    if node.domain or node.op_type != "MatMul" or node.inputs[0] is None:
        return None
    joined, weight = node.inputs[0].producer(), node.inputs[1]
    if joined is None or joined.op_type != "Concat" or weight is None:
        return None
    constant = ir.convenience.get_const_tensor(weight)
    flat = joined.attributes["axis"].as_int() in (1, -1)
    return weight if flat and constant is not None and len(constant.shape) == 2 else None


def _runs(node: ir.Node, shapes: Shapes) -> Iterator[_Run]:
    joined = node.inputs[0].producer() if node.inputs[0] is not None else None
    assert joined is not None
    values = [v for v in joined.inputs if v is not None]
    for early, group in groupby(values, lambda v: len(shapes.get(v, ())) == 1):
        run = list(group)
        widths = [shapes[v][0] if early else None for v in run]
        yield _Run(run, sum(w for w in widths if w) if None not in widths else None, early)


def _pays(runs: list[_Run], weight: ir.Value) -> bool:
    """Whether the input's half is wide, and all halves are known."""
    constant = ir.convenience.get_const_tensor(weight)
    assert constant is not None
    early = sum(run.rows for run in runs if run.rows is not None)
    late = constant.numpy().shape[0] - early
    alone = [run.rows for run in runs].count(None) == 1
    return alone and early >= max(_WIDE, late)


def _split(
    body: ir.Graph, node: ir.Node, runs: list[_Run], weight: ir.Value, weights: ir.Graph
) -> None:
    constant = ir.convenience.get_const_tensor(weight)
    assert constant is not None
    array = constant.numpy()
    left = array.shape[0] - sum(run.rows for run in runs if run.rows is not None)
    emit = Emitter(body, before=node, weights=weights, prefix=f"{node.name}/")
    first, products = 0, []
    for run in runs:
        rows = left if run.rows is None else run.rows
        part = _part(emit, weight, array, first, first + rows)
        products.append(_product(emit, run.values, part))
        first += rows
    total = products[0]
    for product in products[1:]:
        total = emit.op("Add", total, product)
    total.type, total.shape = node.outputs[0].type, node.outputs[0].shape
    node.outputs[0].replace_all_uses_with(total, replace_graph_outputs=True)
    _drop(body, node)


def _part(
    emit: Emitter, weight: ir.Value, array: np.ndarray[Any, Any], first: int, end: int
) -> ir.Value:
    return emit.weight(f"{weight.name}/rows_{first}_{end}", array[first:end])


def _product(emit: Emitter, values: list[ir.Value], weight: ir.Value) -> ir.Value:
    x = values[0] if len(values) == 1 else emit.op("Concat", *values, axis=1)
    return emit.op("MatMul", x, weight)


def _drop(body: ir.Graph, node: ir.Node) -> None:
    """Remove the product, and the Concat where nobody else reads it."""
    joined = node.inputs[0].producer() if node.inputs[0] is not None else None
    body.remove(node, safe=True)
    if joined is not None and joined.graph is body and not _read(joined.outputs[0]):
        body.remove(joined, safe=True)


def _read(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()
