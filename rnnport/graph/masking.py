"""Masking layers, written shorter for target "cpu"; tf2onnx's way costs as much as a small layer.

Keras: a step is masked where all its features equal the mask value; NaN equals nothing. Axis
letters: B batch, T time, F features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from rnnport.graph.emit import Emitter
from rnnport.graph.origins import made_by, number

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
    """Reduce each comparison once, as bytes."""
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


def unmasked(x: ir.Value, mask: ir.Value) -> ir.Value:
    """What x was before its steps were zeroed by this very mask; x itself where they were not.

    Keras 3 chooses, where(mask, x, 0), Keras 2 multiplies.

    Args:
        x: (B, T, F)
        mask: (B, T) bool
    """
    chosen, product = made_by(x, "Where"), made_by(x, "Mul")
    if chosen is not None and number(chosen.inputs[2]) == 0:
        return (chosen.inputs[1] or x) if _lifts(chosen.inputs[0], mask) else x
    for place in (0, 1) if product is not None else ():
        cast = made_by(product.inputs[place], "Cast") if product is not None else None
        if cast is not None and _lifts(cast.inputs[0], mask) and product is not None:
            return product.inputs[1 - place] or x
    return x


def _lifts(value: ir.Value | None, mask: ir.Value) -> bool:
    """Whether it is the mask, (B, T, 1)."""
    lifted = made_by(value, "Unsqueeze")
    return lifted is not None and lifted.inputs[0] is mask and _axes(lifted) in ([-1], [2])


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
        if node.op_type != "Greater" or node.domain or number(node.inputs[1]) != 0:
            continue
        total = made_by(node.inputs[0], "ReduceSum")
        cast = made_by(total.inputs[0], "Cast") if total is not None else None
        negated = made_by(cast.inputs[0], "Not") if cast is not None else None
        equal = made_by(negated.inputs[0], "Equal") if negated is not None else None
        if total is None or equal is None or number(equal.inputs[1]) is None:
            continue
        rank = _rank(equal.inputs[0])
        if rank == 3 and _axes(total) in ([-1], [2]):
            yield _Test(equal.outputs[0], node.outputs[0], _keeps(total))


def _rank(value: ir.Value | None) -> int:
    shape = None if value is None else (value.meta.get("traced_shape") or value.shape)
    return -1 if shape is None else len(shape)


def _axes(node: ir.Node) -> list[int] | None:
    axes = node.inputs[1] if len(node.inputs) > 1 else None
    tensor = None if axes is None else ir.convenience.get_const_tensor(axes)
    return None if tensor is None else [int(i) for i in tensor.numpy().ravel()]


def _keeps(node: ir.Node) -> bool:
    return "keepdims" not in node.attributes or bool(node.attributes["keepdims"].as_int())
