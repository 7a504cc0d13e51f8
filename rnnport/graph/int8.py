"""A finished graph in int8: smaller everywhere, faster where onnxruntime has a kernel for it.

Dynamic kernels quantise what comes in by one scale for the whole batch, so that rows influence one
another. They are for graphs that are given whole sequences; where rows are streams that know
nothing of one another (stream.onnx, decoder.onnx, bodies of loops), weights alone are int8 and the
laws of streams hold as they do in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes import common

from rnnport.graph.int8_embedding import quantise_embeddings
from rnnport.graph.int8_kernels import dynamic_lstm, dynamic_product, takes_lstm, takes_product
from rnnport.graph.int8_weights import quantise_weights

__all__ = ["MICROSOFT", "Int8", "to_int8"]

MICROSOFT = "com.microsoft"


@dataclass(frozen=True)
class Int8:
    """What became int8.

    Attributes:
        lstms: LSTM operators that run in int8.
        products: matrix products that do.
        stored: weights stored in int8 and computed with in float32.
    """

    lstms: int
    products: int
    stored: int


def to_int8(model: ir.Model, *, dynamic: bool) -> Int8:
    """Convert in place.

    Args:
        model: a lowered graph of standard operators.
        dynamic: use the kernels that quantise their input; else weights alone become smaller.
    """
    lstms = products = 0
    if dynamic:
        graph = model.graph
        found = [node for node in graph if takes_lstm(node)]
        for node in found:
            dynamic_lstm(graph, node)
        lstms = len(found)
        # Without an LSTM rows stay strangers to one another, which is worth more than the speed.
        wide = [node for node in graph if lstms and takes_product(node)]
        for node in wide:
            dynamic_product(graph, node)
        products = len(wide)
    if lstms or products:
        model.graph.opset_imports[MICROSOFT] = 1
    stored = quantise_embeddings(model) + quantise_weights(model)
    common.RemoveUnusedNodesPass()(model)
    return Int8(lstms, products, stored)
