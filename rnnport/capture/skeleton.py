"""Turns a trace into the skeleton: tf2onnx for everything but the markers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import onnx
import onnx_ir as ir

from rnnport.capture.context import OpaqueLayer, TraceContext
from rnnport.capture.onnx_body import convert, convert_graph
from rnnport.capture.trace import Trace
from rnnport.errors import Reason, UnsupportedModel
from rnnport.graph.block_lstm import NotConstant, expand_blocks
from rnnport.graph.bodies import fold_bodies
from rnnport.graph.emit import initializer
from rnnport.graph.indices import drop_wrapping
from rnnport.graph.skeleton import DOMAIN, OP, Skeleton, Spec, op_of, token_of
from rnnport.spec import Port

__all__ = ["build_skeleton"]

_KNOWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", DOMAIN)


def build_skeleton(traced: Trace, ports: Sequence[Port], opset: int) -> Skeleton:
    """Convert a trace; markers become `Recurrent` nodes, ports get their names and shapes.

    Args:
        traced: the traced model.
        ports: its inputs in order.
        opset: version of the default domain.

    Raises:
        ConversionError: tf2onnx failed.
        UnsupportedModel: the graph holds operations ONNX lacks, all of which are named; or a cell
            lets out what it computes within one step.
    """
    proto = _convert(traced, opset)
    model = ir.from_proto(proto)
    specs = dict(traced.context.specs)
    _tell_apart(model, specs)
    _expand_blocks(model, specs, traced.context)
    _refuse_foreign(model, opset)
    _name_inputs(model.graph, traced, ports)
    drop_wrapping(model)
    for value, name in zip(list(model.graph.outputs), traced.output_names, strict=True):
        value.name = name
    model.graph.name = "rnnport"
    skeleton = Skeleton(model, specs)
    fold_bodies(skeleton)
    return skeleton


def _convert(traced: Trace, opset: int) -> onnx.ModelProto:
    options: dict[str, Any] = {"handlers": {"PyFunc": (_marker, [])}, "domains": [(DOMAIN, 1)]}
    frozen = traced.frozen
    if frozen is None:
        return convert(traced.concrete, opset=opset, **options)
    return convert_graph(frozen.graph_def, frozen.inputs, frozen.outputs, opset=opset, **options)


def _marker(ctx: Any, node: Any, name: str, args: Any) -> None:
    """tf2onnx handler: PyFunc to Recurrent."""
    token = node.get_attr("token").s
    for key in list(node.attr):
        del node.attr[key]
    node.type = OP
    node.domain = DOMAIN
    node.set_attr("token", token)


def _tell_apart(model: ir.Model, specs: Mapping[str, Spec]) -> None:
    """Give every marker the operator of what it stands for.

    tf2onnx forgets the domain of markers in the branches of a condition.
    """
    for node in model.graph.all_nodes():
        if node.op_type == OP:
            node.domain = DOMAIN
            node.op_type = op_of(specs[token_of(node)])


def _expand_blocks(model: ir.Model, specs: dict[str, Spec], context: TraceContext) -> None:
    try:
        for block in expand_blocks(model, specs):
            layer = OpaqueLayer(block.name, "BlockLSTM", block.reason, "Scan", (block.units,))
            if layer not in context.opaque:
                context.opaque.append(layer)
    except NotConstant as error:
        raise UnsupportedModel.of(
            f"BlockLSTM with weights {error}",
            "weights computed in the graph",
            "constants, or variables that are frozen",
            "freeze the graph, or store the weights as they are used",
        ) from error


def _name_inputs(graph: ir.Graph, traced: Trace, ports: Sequence[Port]) -> None:
    """Order and name the inputs as Keras does; an input nobody reads stays an input."""
    by_name = {str(v.name).split(":")[0]: v for v in graph.inputs}
    ordered = []
    for placeholder, port in zip(traced.placeholders, ports, strict=True):
        value = by_name.pop(placeholder.op.name, None) or ir.Value()
        value.meta["traced_shape"] = list(value.shape) if value.shape is not None else None
        value.name = port.name
        value.type = ir.TensorType(ir.DataType.from_numpy(np.dtype(port.dtype)))
        value.shape = ir.Shape(port.shape)
        ordered.append(value)
    graph.inputs.clear()
    graph.inputs.extend(ordered)
    _freeze_captures(graph, traced, by_name)


def _freeze_captures(graph: ir.Graph, traced: Trace, extra: dict[str, ir.Value]) -> None:
    """Large weights, and tensors made outside the trace, come as inputs: now initialisers."""
    captures = [] if traced.concrete is None else traced.concrete.graph.captures
    constants = {inner.op.name: outer for outer, inner in captures}
    constants.update(traced.weights)
    for name, value in extra.items():
        array = keras.ops.convert_to_numpy(constants[name])
        constant = initializer(str(value.name), array)
        graph.register_initializer(constant)
        value.replace_all_uses_with(constant)


def _refuse_foreign(model: ir.Model, opset: int) -> None:
    foreign = sorted(
        {
            node.op_type
            for node in model.graph.all_nodes()
            if node.domain not in _KNOWN_DOMAINS
            or (node.domain == "" and not onnx.defs.has(node.op_type, opset, ""))
        }
    )
    if foreign:
        raise UnsupportedModel(
            *(
                Reason(
                    f"TensorFlow operation {op}",
                    "an operation tf2onnx has no ONNX for",
                    "operations that ONNX can express",
                    "replace it in the model, or leave it outside and apply it to the output",
                )
                for op in foreign
            )
        )
