"""tf2onnx handlers for TensorFlow's fused recurrent operations on the CPU.

Formulas: tensorflow/core/kernels/rnn/gru_ops.h and lstm_ops.h. One step becomes plain ONNX; a whole
sequence becomes a node of rnnport's own, which `rnnport.graph.block_lstm` expands. LSTMBlockCell is
tf2onnx's own. Axis letters: B batch, T time, F features, U units.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnport.graph.skeleton import DOMAIN

__all__ = ["BLOCK_OPS"]


def _gru_block_cell(ctx: Any, node: Any, name: str, args: Any) -> None:
    """x, h, w_ru (F+U, 2U), w_c (F+U, U), b_ru, b_c to r, u, c and the new h, (B, U) each."""
    x, h, w_ru, w_c, b_ru, b_c = node.input
    outputs: list[str] = list(node.output)
    kept = [(ctx.get_dtype(y), ctx.get_shape(y)) for y in outputs]
    ctx.remove_node(node.name)

    def op(kind: str, *inputs: str, count: int = 1, **attributes: Any) -> list[str]:
        made = ctx.make_node(kind, list(inputs), attr=attributes or None, output_count=count)
        names: list[str] = list(made.output)
        return names

    def affine(a: str, b: str, w: str, bias: str) -> str:
        (joined,) = op("Concat", a, b, axis=1)
        return op("Add", op("MatMul", joined, w)[0], bias)[0]

    def final(kind: str, inputs: list[str], index: int) -> str:
        dtype, shape = kept[index]
        ctx.make_node(kind, inputs, outputs=[outputs[index]], dtypes=[dtype], shapes=[shape])
        return outputs[index]

    r_bar, u_bar = op("Split", affine(x, h, w_ru, b_ru), count=2, axis=1, num_outputs=2)
    r, u = final("Sigmoid", [r_bar], 0), final("Sigmoid", [u_bar], 1)
    (held,) = op("Mul", r, h)
    c = final("Tanh", [affine(x, held, w_c, b_c)], 2)
    one = ctx.make_const(f"{name}_one", np.array(1.0, np.float32)).output[0]
    fresh = op("Mul", op("Sub", one, u)[0], c)[0]
    final("Add", [fresh, op("Mul", u, h)[0]], 3)


def _block_lstm(ctx: Any, node: Any, name: str, args: Any) -> None:
    """BlockLSTM has gates i ci f o and adds forget_bias; BlockLSTMV2 has i f ci o and does not."""
    first = node.type == "BlockLSTM"
    forget_bias = node.get_attr_value("forget_bias", 1.0) if first else 0.0
    clip = node.get_attr_value("cell_clip", 3.0 if first else 0.0)
    peephole = node.get_attr_value("use_peephole", False)
    for key in list(node.attr):
        del node.attr[key]
    node.type, node.domain = "BlockLSTM", DOMAIN
    node.set_attr("forget_bias", float(forget_bias))
    node.set_attr("cell_clip", float(clip))
    node.set_attr("use_peephole", int(peephole))
    node.set_attr("candidate", 1 if first else 2)


BLOCK_OPS: dict[str, tuple[Any, list[Any]]] = {
    "GRUBlockCell": (_gru_block_cell, []),
    "BlockLSTM": (_block_lstm, []),
    "BlockLSTMV2": (_block_lstm, []),
}
