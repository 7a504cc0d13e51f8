"""Embeddings in int8: rows are looked up first and multiplied by their own scale afterwards."""

from __future__ import annotations

import onnx_ir as ir

from rnnport.graph.emit import Emitter, stand_in
from rnnport.graph.int8_kernels import constant
from rnnport.graph.int8_weights import SMALL
from rnnport.graph.quantise import quantise

__all__ = ["quantise_embeddings"]


def quantise_embeddings(model: ir.Model) -> int:
    """Convert tables (V, F) that only lookups of whole rows read; how many."""
    found = [value for value in list(model.graph.initializers.values()) if _is_table(value)]
    for table in found:
        array = constant(table)
        assert array is not None
        made = quantise(array, (1,))
        for node, _ in list(table.uses()):
            graph = node.graph
            assert isinstance(graph, ir.Graph)
            emit = Emitter(graph, before=node, weights=model.graph, prefix=f"int8/{node.name}/")
            ids = node.inputs[1]
            q = emit.op("Gather", emit.weight(f"{table.name}_int8", made.q), ids)
            scale = emit.op("Gather", emit.weight(f"{table.name}_scale", made.scale), ids)
            row = emit.op("Mul", emit.op("Cast", q, to=ir.DataType.FLOAT.value), scale)
            stand_in(node.outputs[0], row)
            graph.remove(node, safe=True)
        assert table.name is not None
        model.graph.initializers.pop(table.name)
    return len(found)


def _is_table(value: ir.Value) -> bool:
    array = constant(value)
    if array is None or array.ndim != 2 or array.size < SMALL or value.is_graph_output():
        return False
    uses = list(value.uses())
    return bool(uses) and all(_looks_up(node, place) for node, place in uses)


def _looks_up(node: ir.Node, place: int) -> bool:
    axis = node.attributes.get("axis")
    rows = axis is None or axis.as_int() == 0
    return node.op_type == "Gather" and not node.domain and place == 0 and rows
