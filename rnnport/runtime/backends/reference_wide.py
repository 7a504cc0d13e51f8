"""A graph with every floating-point type in it replaced by float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

__all__ = ["widen"]

_NARROW = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16}
_TYPE_ATTRIBUTES = {"to", "dtype", "output_dtype"}


def widen(model: ModelProto) -> None:
    """Rewrite a model in place: weights, constants, casts and declared types, subgraphs included.

    Outputs that nobody named get names: the evaluator would otherwise take their values for those
    of inputs left out.
    """
    for graph in _graphs(model.graph):
        for weight in graph.initializer:
            _widen_tensor(weight)
        for value in [*graph.input, *graph.output, *graph.value_info]:
            tensor = value.type.tensor_type
            if tensor.elem_type in _NARROW:
                tensor.elem_type = TensorProto.DOUBLE
        for number, node in enumerate(graph.node):
            _widen_node(node)
            for place, name in enumerate(node.output):
                node.output[place] = name or f"{graph.name}/unused/{number}/{place}"


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _graphs(attribute.g)


def _widen_tensor(tensor: TensorProto) -> None:
    if tensor.data_type in _NARROW:
        wide = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


def _widen_node(node: NodeProto) -> None:
    if node.domain == "" and node.op_type == "ConstantOfShape" and not node.attribute:
        zero = numpy_helper.from_array(np.zeros(1))
        node.attribute.append(onnx.helper.make_attribute("value", zero))
    for attribute in node.attribute:
        if attribute.type == AttributeProto.TENSOR:
            _widen_tensor(attribute.t)
        elif attribute.name in _TYPE_ATTRIBUTES and attribute.i in _NARROW:
            attribute.i = TensorProto.DOUBLE
        elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
            many = attribute.name.endswith("s")
            array = np.array(list(attribute.floats) if many else attribute.f, np.float64)
            value = numpy_helper.from_array(array)
            attribute.CopyFrom(onnx.helper.make_attribute("value", value))
