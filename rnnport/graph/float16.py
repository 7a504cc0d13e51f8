"""A finished graph in float16 behind float32 ports: for CUDA, whose recurrent kernels know it.

What compares or counts stays in float32, so that masks mark the same steps: whether x equals the
mask's value must not be asked of a rounded x.
"""

from __future__ import annotations

import onnx_ir as ir

from rnnport.graph.emit import Emitter
from rnnport.graph.finish import infer_types
from rnnport.graph.float16_weights import check_holds, half_array, half_initializer

__all__ = ["to_float16"]

_FLOAT, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
_EXACT = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "IsNaN", "IsInf", "CumSum"}
_EXACT |= {"Range", "ArgMax", "ArgMin", "TopK", "NonZero", "Resize", "Cast"}
# Their outputs are no floats, whatever goes in.
_COUNTS = {"Shape", "Size", "ArgMax", "ArgMin", "NonZero", "IsNaN", "IsInf", "Equal", "Not"}
_COUNTS |= {"Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or"}


def to_float16(model: ir.Model) -> None:
    """Convert in place.

    Args:
        model: a lowered graph of standard operators.

    Raises:
        TooLarge: a weight that float16 does not hold, or a hold weight that might be outweighed.
    """
    infer_types(model)
    main = model.graph
    for node in main.all_nodes():
        check_holds(node)
    outputs = [(place, v) for place, v in enumerate(main.outputs) if v.dtype == _FLOAT]
    _Walk(main, main).convert()
    for place, value in outputs:
        _give_float(main, place, value)
    for value in list(main.initializers.values()):
        if not value.uses() and not value.is_graph_output() and value.name:
            main.initializers.pop(value.name)


class _Walk:
    """Follows one graph from the first node to the last.

    Args:
        graph: the main graph, or a body.
        main: holds the initialisers.
    """

    def __init__(self, graph: ir.Graph, main: ir.Graph) -> None:
        self._graph, self._main = graph, main
        self._twins: dict[tuple[int, ir.DataType], ir.Value] = {}

    def convert(self) -> None:
        """Convert every node, and those of bodies inside."""
        for node in list(self._graph):
            bodies = [a.as_graph() for a in node.attributes.values() if a.type.name == "GRAPH"]
            wanted = _FLOAT if node.op_type in _EXACT or node.domain else _HALF
            floats = [v for v in node.outputs if v.dtype == _FLOAT or _unknown(node, v)]
            for place, value in enumerate(node.inputs):
                if value is not None and value.dtype in (_FLOAT, _HALF) and node.op_type != "Cast":
                    node.replace_input_with(place, self._as(value, wanted, node))
            for body in bodies:
                self._convert_body(body)
            if wanted == _HALF:
                _convert_constants(node)
                for value in floats:
                    value.type = ir.TensorType(_HALF)

    def _convert_body(self, body: ir.Graph) -> None:
        for value in body.inputs:
            if value.dtype == _FLOAT:
                value.type = ir.TensorType(_HALF)
        given = [v.dtype == _FLOAT or v.dtype is None for v in body.outputs]
        walk = _Walk(body, self._main)
        walk.convert()
        for place, was_float in enumerate(given):
            value = body.outputs[place]
            if was_float and value.dtype == _FLOAT:
                body.outputs[place] = walk._as(value, _HALF, None)

    def _as(self, value: ir.Value, wanted: ir.DataType, before: ir.Node | None) -> ir.Value:
        """The value in this type; cast once in each graph, in front of the first who asks."""
        if value.dtype == wanted:
            return value
        if value.is_initializer() and wanted == _HALF:
            return half_initializer(self._main, value)
        key = id(value), wanted
        if key not in self._twins:
            emit = Emitter(self._graph, before=before, weights=self._main, prefix="float16/")
            twin = emit.op("Cast", value, to=wanted.value)
            twin.type, twin.shape = ir.TensorType(wanted), value.shape
            self._twins[key] = twin
        return self._twins[key]


def _unknown(node: ir.Node, value: ir.Value) -> bool:
    """An output of a body that inference did not reach: as the inputs are."""
    fed = any(v is not None and v.dtype in (_FLOAT, _HALF) for v in node.inputs)
    return value.dtype is None and fed and node.op_type not in _COUNTS


def _convert_constants(node: ir.Node) -> None:
    """Tensors among the attributes: of Constant and ConstantOfShape."""
    for name, attribute in list(node.attributes.items()):
        if attribute.type == ir.AttributeType.TENSOR and attribute.as_tensor().dtype == _FLOAT:
            array = half_array(attribute.as_tensor().numpy(), str(node.name))
            node.attributes[name] = ir.AttrTensor(name, ir.tensor(array))


def _give_float(graph: ir.Graph, place: int, value: ir.Value) -> None:
    """The output as a float32 port again, under its name."""
    if value.dtype != _HALF:
        return
    name, shape = value.name, value.shape
    value.name = f"{name}/half"
    twin = Emitter(graph, prefix="float16/").op("Cast", value, to=_FLOAT.value)
    twin.name, twin.type, twin.shape = name, ir.TensorType(_FLOAT), shape
    graph.outputs[place] = twin
