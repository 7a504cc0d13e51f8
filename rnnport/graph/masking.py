"""Masking layers, written shorter for target "cpu"; tf2onnx's way costs as much as a small layer.

Keras: a step is masked where all its features equal the mask value; NaN equals nothing. Axis
letters: B batch, T time, F features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from rnnport.graph.emit import Emitter

__all__ = ["shorten_masking", "unmasked"]


@dataclass(frozen=True, eq=False)
class _Test:
    """`any(x != value)` over the features, as tf2onnx writes it.

    Attributes:
        equal: `x == value`.  # (B, T, F) bool
        result: (B, T), or (B, T, 1) where keepdims.
        keepdims: whether the features' axis stays.
    """

    equal: ir.Value
    result: ir.Value
    keepdims: bool


def shorten_masking(graph: ir.Graph) -> None:
    """Reduce each comparison once, as bytes, and zero masked steps with one product or none."""
    known: dict[int, ir.Value] = {}
    for test in list(_tests(graph)):
        node = test.result.producer()
        assert node is not None
        emit = Emitter(graph, before=node, prefix="masking/")
        if id(test.equal) not in known:
            known[id(test.equal)] = _mask(graph, test.equal)
        mask = known[id(test.equal)]
        shorter = emit.op("Unsqueeze", mask, emit.ints(2)) if test.keepdims else mask
        test.result.replace_all_uses_with(shorter)
        if test.keepdims:
            _shorten_choices(graph, shorter)


def unmasked(x: ir.Value, mask: ir.Value) -> ir.Value:
    """What x was before its steps were zeroed by this very mask; x itself where they were not.

    Args:
        x: (B, T, F)
        mask: (B, T) bool
    """
    product = _made_by(x, "Mul")
    for place in (0, 1) if product is not None else ():
        cast = _made_by(product.inputs[place], "Cast") if product is not None else None
        lifted = _made_by(cast.inputs[0], "Unsqueeze") if cast is not None else None
        if lifted is not None and lifted.inputs[0] is mask and product is not None:
            return product.inputs[1 - place] or x
    return x


def _mask(graph: ir.Graph, equal: ir.Value) -> ir.Value:
    node = equal.producer()
    assert node is not None
    emit = Emitter(graph, prefix="masking/")
    byte = ir.node("Cast", [equal], {"to": ir.DataType.UINT8.value})
    least = ir.node("ReduceMin", [byte.outputs[0], emit.ints(-1)], {"keepdims": 0})
    masked = ir.node("Cast", [least.outputs[0]], {"to": ir.DataType.BOOL.value})
    valid = ir.node("Not", [masked.outputs[0]])
    behind = node
    for made in (byte, least, masked, valid):
        number = graph.meta["rnnport_values"] = graph.meta.get("rnnport_values", 0) + 1
        made.name = f"masking/{made.op_type}.{number}"
        made.outputs[0].name = f"{made.name}:0"
        graph.insert_after(behind, made)
        behind = made
    return valid.outputs[0]


def _tests(graph: ir.Graph) -> Iterator[_Test]:
    """Greater(ReduceSum(Cast(Not(Equal(x, value)))), 0)."""
    for node in graph:
        if node.op_type != "Greater" or node.domain or not _is_number(node.inputs[1], 0):
            continue
        total = _made_by(node.inputs[0], "ReduceSum")
        cast = _made_by(total.inputs[0], "Cast") if total is not None else None
        negated = _made_by(cast.inputs[0], "Not") if cast is not None else None
        equal = _made_by(negated.inputs[0], "Equal") if negated is not None else None
        if total is None or equal is None or not _is_number(equal.inputs[1]):
            continue
        rank = _rank(equal.inputs[0])
        if rank == 3 and _axes(total) in ([-1], [2]):
            yield _Test(equal.outputs[0], node.outputs[0], _keeps(total))


def _shorten_choices(graph: ir.Graph, chosen: ir.Value) -> None:
    """chosen·x + (not chosen)·0, which tf2onnx makes of a choice, to x·chosen."""
    for cast in [use.node for use in chosen.uses() if use.node.op_type == "Cast"]:
        for product in [use.node for use in cast.outputs[0].uses() if use.node.op_type == "Mul"]:
            for total in [use.node for use in product.outputs[0].uses()]:
                if total.op_type == "Add" and any(_is_nothing(v, chosen) for v in total.inputs):
                    total.outputs[0].replace_all_uses_with(product.outputs[0])


def _is_nothing(value: ir.Value | None, chosen: ir.Value) -> bool:
    """Whether it is 0·(not chosen)."""
    product = _made_by(value, "Mul")
    if product is None or not any(_is_number(v, 0) for v in product.inputs):
        return False
    casts = [cast for v in product.inputs if (cast := _made_by(v, "Cast")) is not None]
    negated = _made_by(casts[0].inputs[0], "Not") if len(casts) == 1 else None
    return negated is not None and negated.inputs[0] is chosen


def _made_by(value: ir.Value | None, op: str) -> ir.Node | None:
    node = value.producer() if value is not None else None
    return node if node is not None and node.op_type == op and not node.domain else None


def _is_number(value: ir.Value | None, wanted: float | None = None) -> bool:
    """Whether it is a constant of one element, and this number."""
    tensor = _constant(value)
    if tensor is None or tensor.size != 1:
        return False
    return wanted is None or bool(np.asarray(tensor.numpy()).ravel()[0] == wanted)


def _constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    return ir.convenience.get_const_tensor(value) if value is not None else None


def _rank(value: ir.Value | None) -> int:
    shape = None if value is None else (value.meta.get("traced_shape") or value.shape)
    return -1 if shape is None else len(shape)


def _axes(node: ir.Node) -> list[int] | None:
    tensor = _constant(node.inputs[1]) if len(node.inputs) > 1 else None
    return None if tensor is None else [int(i) for i in tensor.numpy().ravel()]


def _keeps(node: ir.Node) -> bool:
    return "keepdims" not in node.attributes or bool(node.attributes["keepdims"].as_int())
