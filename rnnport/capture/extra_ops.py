"""TensorFlow operations that Keras uses and tf2onnx has no ONNX for."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["EXTRA_OPS"]


def _erfc(ctx: Any, node: Any, name: str, args: Any) -> None:
    """Complementary error function, 1 − erf(x); in Keras's exact gelu."""
    dtype, shape = ctx.get_dtype(node.output[0]), ctx.get_shape(node.output[0])
    x, output = node.input[0], node.output[0]
    ctx.remove_node(node.name)
    erf = ctx.make_node("Erf", [x]).output[0]
    one = ctx.make_const(f"{name}_one", np.array(1.0, np.float32)).output[0]
    ctx.make_node("Sub", [one, erf], outputs=[output], dtypes=[dtype], shapes=[shape])


def _expm1(ctx: Any, node: Any, name: str, args: Any) -> None:
    """exp(x) − 1; in Keras's celu."""
    dtype, shape = ctx.get_dtype(node.output[0]), ctx.get_shape(node.output[0])
    x, output = node.input[0], node.output[0]
    ctx.remove_node(node.name)
    exp = ctx.make_node("Exp", [x]).output[0]
    one = ctx.make_const(f"{name}_one", np.array(1.0, np.float32)).output[0]
    ctx.make_node("Sub", [exp, one], outputs=[output], dtypes=[dtype], shapes=[shape])


EXTRA_OPS: dict[str, tuple[Any, list[Any]]] = {"Erfc": (_erfc, []), "Expm1": (_expm1, [])}
