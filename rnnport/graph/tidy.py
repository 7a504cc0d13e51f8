"""Cleans a lowered graph: cancels transposes, drops what nobody reads, orders and checks."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common

from rnnport.graph.emit import initializer, stand_in

__all__ = ["cancel_transposes", "tidy"]


def tidy(model: ir.Model) -> None:
    """Clean in place; the function computed stays the same."""
    cancel_transposes(model.graph)
    _join_directions(model.graph)
    common.RemoveUnusedNodesPass()(model)
    common.DeduplicateInitializersPass(size_limit=1 << 30)(model)
    _forget_inner_shapes(model)
    for graph in (model.graph, *model.graph.subgraphs()):
        graph.sort()


def cancel_transposes(graph: ir.Graph) -> None:
    """Transpose after Transpose becomes one, or nothing, where the inner one is its inverse."""
    for node in list(graph):
        if node.op_type != "Transpose" or node.domain:
            continue
        source = node.inputs[0]
        inner = source.producer() if source is not None else None
        if inner is None or inner.op_type != "Transpose" or inner.domain:
            continue
        outer_perm, inner_perm = _perm(node), _perm(inner)
        if outer_perm is None or inner_perm is None or node.outputs[0].is_graph_output():
            continue
        combined = [inner_perm[i] for i in outer_perm]
        origin = inner.inputs[0]
        assert origin is not None
        if combined == sorted(combined):
            node.outputs[0].replace_all_uses_with(origin)
        else:
            node.replace_input_with(0, origin)
            node.attributes["perm"] = ir.AttrInt64s("perm", combined)


def _perm(node: ir.Node) -> list[int] | None:
    attribute = node.attributes.get("perm")
    return list(attribute.as_ints()) if attribute is not None else None


def _join_directions(graph: ir.Graph) -> None:
    """Concat of both halves of a bidirectional Y becomes one Transpose and Reshape."""
    for node in list(graph):
        y = _halves(node) if node.op_type == "Concat" and not node.domain else None
        if y is None:
            continue
        swapped = ir.node("Transpose", [y], {"perm": [2, 0, 1, 3]})
        shape = graph.initializers.get("shape_0_0_-1")
        if shape is None:
            shape = initializer("shape_0_0_-1", np.array([0, 0, -1], np.int64))
            graph.register_initializer(shape)
        joined = ir.node("Reshape", [swapped.outputs[0], shape])
        joined.outputs[0].name = f"{node.outputs[0].name}/joined"
        swapped.outputs[0].name = f"{node.outputs[0].name}/swapped"
        graph.insert_before(node, [swapped, joined])
        stand_in(node.outputs[0], joined.outputs[0])
        graph.remove(node, safe=True)


def _halves(node: ir.Node) -> ir.Value | None:
    """The (T, 2, B, U) value whose halves, batch-major, this Concat joins along the last axis."""
    if len(node.inputs) != 2 or node.attributes["axis"].as_int() not in (-1, 2):
        return None
    splits = [split for value in node.inputs if (split := _split_half(value)) is not None]
    if len(splits) != 2 or splits[0].producer() is not splits[1].producer():
        return None
    if [s.index() for s in splits] != [0, 1]:
        return None
    producer = splits[0].producer()
    return producer.inputs[0] if producer is not None else None


def _split_half(value: ir.Value | None) -> ir.Value | None:
    """Follow Transpose([1,0,2]) ∘ Squeeze back to an output of Split(axis=1)."""
    transpose = value.producer() if value is not None else None
    if transpose is None or transpose.op_type != "Transpose" or _perm(transpose) != [1, 0, 2]:
        return None
    squeeze = transpose.inputs[0].producer() if transpose.inputs[0] is not None else None
    if squeeze is None or squeeze.op_type != "Squeeze" or squeeze.inputs[0] is None:
        return None
    half = squeeze.inputs[0]
    split = half.producer()
    if split is None or split.op_type != "Split" or split.attributes["axis"].as_int() != 1:
        return None
    lstm = split.inputs[0].producer() if split.inputs[0] is not None else None
    return half if lstm is not None and lstm.op_type in ("LSTM", "GRU", "RNN") else None


def _forget_inner_shapes(model: ir.Model) -> None:
    """Shapes of inner values, as traced, would outlive the rewriting; runtimes infer their own."""
    for node in model.graph.all_nodes():
        for value in node.outputs:
            if not value.is_graph_output():
                value.shape = None
                value.type = None
