"""Moves what depends on the input alone out of a body: once for all steps, in front of the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from rnnport.custom import Sizes
from rnnport.graph.custom_work import Work
from rnnport.graph.einsum import as_product
from rnnport.graph.emit import Emitter
from rnnport.graph.hoist import hoistable
from rnnport.graph.split_product import split_products

__all__ = ["Scanned", "hoist_out"]


@dataclass(frozen=True, eq=False)
class Scanned:
    """What the loop goes through.

    Attributes:
        inner: the body's inputs, one step each.
        outer: the sequences (T, B, …) they are steps of.
        moved: nodes that now stand in front of the loop.
    """

    inner: list[ir.Value]
    outer: list[ir.Value]
    moved: list[ir.Node]


def hoist_out(work: Work, inputs: Sequence[ir.Value]) -> Scanned:
    """Move what may be moved.

    Args:
        work: its body loses nodes.
        inputs: the body's inputs that are steps of a sequence.
    """
    steps = [work.spec.inside(sizes) for sizes in work.spec.steps]
    known = dict(zip(inputs, steps, strict=True))
    split_products(work.body, known, work.emit.weights)
    moved = hoistable(work.body, known)
    results = _move(work, inputs, steps, moved)
    inner, outer = [], []
    for value, sequence in zip(inputs, work.sequences, strict=True):
        if value.uses():
            inner.append(value)
            outer.append(sequence)
    members = set(moved)
    for result in results:
        readers = [use for use in result.uses() if use.node not in members]
        if readers:
            step = ir.Value(name=f"{result.name}/step", type=result.type)
            for use in readers:
                use.node.replace_input_with(use.idx, step)
            inner.append(step)
            outer.append(_unfold(work.emit, result, work.sequences[0]))
    if not inner:  # the loop must know how long it is
        return Scanned([inputs[0]], [work.sequences[0]], moved)
    return Scanned(inner, outer, moved)


def _move(
    work: Work, inputs: Sequence[ir.Value], steps: Sequence[Sizes], moved: Sequence[ir.Node]
) -> list[ir.Value]:
    """Write the nodes over batch and time folded into one axis; returns all they give."""
    folded: dict[ir.Value | None, ir.Value] = {}
    for value, sequence, sizes in zip(inputs, work.sequences, steps, strict=True):
        if any(use.node in moved for use in value.uses()):
            folded[value] = _fold(work.emit, sequence, sizes)
    results: list[ir.Value] = []
    for node in moved:
        work.body.remove(node)
        for index, own in enumerate(node.inputs):
            if own in folded:
                node.replace_input_with(index, folded[own])
        product = as_product(work.emit, node) if node.op_type == "Einsum" else None
        if product is None:
            work.emit.add(node)
            results.extend(node.outputs)
            continue
        node.outputs[0].replace_all_uses_with(product)
        for index in range(len(node.inputs)):  # it must not count as a reader of the weight
            node.replace_input_with(index, None)
        results.append(product)
    return results


def _fold(emit: Emitter, x: ir.Value, sizes: Sizes) -> ir.Value:
    """(T, B, …) to (T·B, …)."""
    if all(size is not None for size in sizes):
        shape = emit.ints(-1, *(size for size in sizes if size is not None))
    else:
        shape = emit.op("Concat", emit.ints(-1), emit.op("Shape", x, start=2), axis=0)
    return emit.op("Reshape", x, shape)


def _unfold(emit: Emitter, x: ir.Value, like: ir.Value) -> ir.Value:
    """(T·B, …) to (T, B, …)."""
    front = emit.op("Shape", like, start=0, end=2)
    shape = emit.op("Concat", front, emit.op("Shape", x, start=1), axis=0)
    return emit.op("Reshape", x, shape)
