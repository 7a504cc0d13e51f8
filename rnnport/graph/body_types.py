"""Declares the dtype of every input of a Scan's body.

ONNX lets a body leave it out and onnxruntime finds it by itself. OpenVINO 2026.4 reads such a
graph, and fails when it runs ("TensorIterator object is not initialized").
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir
from onnx_ir.passes import common

__all__ = ["declare_body_types"]


def declare_body_types(model: ir.Model) -> None:
    """Declare them in place; shapes stay as they are.

    Sizes that shape inference would name after axes of the graph around may be others inside, as
    in TimeDistributed.
    """
    waiting = [value for value in _body_inputs(model) if value.dtype is None]
    if not waiting:
        return
    inferred = model.clone()
    common.ShapeInferencePass(strict_mode=False)(inferred)
    known = {value.name: value.type for value in _body_inputs(inferred)}
    for value in waiting:
        value.type = known[value.name]


def _body_inputs(model: ir.Model) -> Iterator[ir.Value]:
    for node in model.graph.all_nodes():
        if node.op_type == "Scan" and node.domain == "":
            yield from node.attributes["body"].as_graph().inputs
