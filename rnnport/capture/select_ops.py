"""tf2onnx handlers for `tf.where(condition, x, y)`: ONNX's Where.

tf2onnx itself writes condition · x + (1 − condition) · y, in which a NaN or an infinity that is not
selected makes a NaN. Models that clean missing data select in this way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

__all__ = ["SELECT_OPS"]


def _select(ctx: Any, node: Any, name: str, args: Any) -> None:
    """Where; of truth values, which onnxruntime's Where does not take, its logic."""
    if node.type == "Select":
        _reach_rows(ctx, node)
    if ctx.get_dtype(node.output[0]) == TensorProto.BOOL:
        _select_truth(ctx, node)
    else:
        node.type = "Where"


def _reach_rows(ctx: Any, node: Any) -> None:
    """The first Select takes a condition (B,) for values (B, …)."""
    condition, x = node.input[0], node.input[1]
    shape, rank = ctx.get_shape(condition), len(ctx.get_shape(x) or ())
    if shape is None or len(shape) != 1 or rank < 2:
        return
    target = ctx.make_const(f"{node.name}_rows", np.array([-1] + [1] * (rank - 1), np.int64))
    rows = ctx.make_node("Reshape", [condition, target.output[0]]).output[0]
    ctx.replace_input(node, condition, rows, 0)


def _select_truth(ctx: Any, node: Any) -> None:
    condition, x, y = node.input
    output, name = node.output[0], node.name
    shape = ctx.get_shape(output)
    ctx.remove_node(name)
    other = ctx.make_node("Not", [condition]).output[0]
    sides = [ctx.make_node("And", pair).output[0] for pair in ([condition, x], [other, y])]
    ctx.make_node(
        "Or", sides, outputs=[output], name=name, dtypes=[TensorProto.BOOL], shapes=[shape]
    )


SELECT_OPS: dict[str, tuple[Any, list[Any]]] = {op: (_select, []) for op in ("Select", "SelectV2")}
