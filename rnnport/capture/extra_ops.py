"""TensorFlow operations that Keras uses and tf2onnx has no ONNX for."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["EXTRA_OPS"]


def _erfc(ctx: Any, node: Any, name: str, args: Any) -> None:
    """Complementary error function, 1 − erf(x); in Keras's exact gelu."""
    x, one = node.input[0], _one(ctx, name)
    _replace(ctx, node, "Sub", [one, ctx.make_node("Erf", [x]).output[0]])


def _expm1(ctx: Any, node: Any, name: str, args: Any) -> None:
    """exp(x) − 1; in Keras's celu."""
    x, one = node.input[0], _one(ctx, name)
    _replace(ctx, node, "Sub", [ctx.make_node("Exp", [x]).output[0], one])


def _one(ctx: Any, name: str) -> str:
    value: str = ctx.make_const(f"{name}_one", np.array(1.0, np.float32)).output[0]
    return value


def _replace(ctx: Any, node: Any, op: str, inputs: list[str]) -> None:
    """Put one ONNX node in the place of a TensorFlow node, under the same output name."""
    output = node.output[0]
    dtype, shape = ctx.get_dtype(output), ctx.get_shape(output)
    ctx.remove_node(node.name)
    ctx.make_node(op, inputs, outputs=[output], dtypes=[dtype], shapes=[shape])


EXTRA_OPS: dict[str, tuple[Any, list[Any]]] = {"Erfc": (_erfc, []), "Expm1": (_expm1, [])}
