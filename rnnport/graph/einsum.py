"""Einsum with a weight as one matrix product: onnxruntime's Einsum permutes and copies."""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from rnnport.graph.emit import Emitter

__all__ = ["as_product"]


def as_product(emit: Emitter, node: ir.Node) -> ir.Value | None:
    """Write the product in front of where `emit` writes; None where axes would have to move.

    Args:
        emit: where to write.
        node: an Einsum of (B, …) with a constant; the axes summed over stand last in the one and
            first in the other, in one order, as in "bij,ijkl->bkl".
    """
    equation = node.attributes["equation"].as_string().replace(" ", "")
    left, result = equation.split("->")
    terms = left.split(",")
    if len(node.inputs) != 2:
        return None
    x, weight = node.inputs
    constant = ir.convenience.get_const_tensor(weight) if weight is not None else None
    if len(terms) != 2 or x is None or constant is None:
        return None
    of_x, of_weight = terms
    summed = [label for label in of_x if label in of_weight]
    kept, new = of_x[: -len(summed) or None], of_weight[len(summed) :]
    in_order = of_x == kept + "".join(summed) and of_weight == "".join(summed) + new
    if not (summed and in_order and result == kept + new and len(kept) == 1):
        return None
    array = constant.numpy()
    sizes = dict(zip(of_weight, array.shape, strict=True))
    rows = prod(sizes[label] for label in summed)
    name = f"{weight.name if weight is not None else ''}/matrix"
    matrix = emit.weight(name, array.reshape(rows, -1))
    flat = emit.op("Reshape", x, emit.ints(-1, rows))
    product = emit.op("MatMul", flat, matrix)
    return emit.op("Reshape", product, emit.ints(-1, *(sizes[label] for label in new)))
