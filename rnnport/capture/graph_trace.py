"""Traces TensorFlow 1 code: built once more under interception, then frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from rnnport.capture.context import InputFact, TraceContext
from rnnport.capture.graph_code import BuiltGraph, build_graph, open_session
from rnnport.capture.intercept import intercepting
from rnnport.capture.legacy_patches import trace_patches
from rnnport.capture.quiet import quiet
from rnnport.capture.source import Source, structure_of
from rnnport.capture.specs import static_shape
from rnnport.capture.trace import FrozenGraph, Trace, output_names
from rnnport.capture.wording import gist
from rnnport.errors import ConversionError

__all__ = ["trace_graph"]


def trace_graph(source: Source, shapes: Sequence[Sequence[int | None]]) -> Trace:
    """Build the code with every recurrent function and cell intercepted.

    Args:
        source: TensorFlow 1 code.
        shapes: one for each input, None on dynamic axes.

    Raises:
        ConversionError: the code failed.
    """
    assert source.graph is not None
    code = source.graph.code
    context = TraceContext(variables=code.values.known)
    built = build_graph(code, shapes, intercepting(context, trace_patches()))
    context.facts.extend(_vocabularies(built.graph))
    names = output_names(source, built.nest)
    return Trace(
        concrete=None,
        context=context,
        placeholders=built.placeholders,
        weights={},
        structure=structure_of(built.nest, names),
        output_names=tuple(names),
        output_shapes=tuple(
            static_shape(y) if y.shape.rank is not None else () for y in built.outputs
        ),
        output_dtypes=tuple(y.dtype.name for y in built.outputs),
        frozen=_freeze(source, built),
    )


def _freeze(source: Source, built: BuiltGraph) -> FrozenGraph:
    """The graph with constants for variables."""
    assert source.graph is not None
    outputs = [y.op.name for y in built.outputs]
    with open_session(source.graph.code, built) as session, quiet():
        try:
            frozen = tf.compat.v1.graph_util.convert_variables_to_constants(
                session, built.graph.as_graph_def(), outputs
            )
        except Exception as error:
            raise ConversionError.of(
                f"graph of {source.name!r}",
                f"{type(error).__name__}: {gist(error)}",
                "a graph whose variables can be frozen",
                "report it with the model",
            ) from error
    placeholders = [p.name for p in built.placeholders if _names(frozen, p.op.name)]
    return FrozenGraph(frozen, tuple(placeholders), tuple(y.name for y in built.outputs))


def _names(graph_def: Any, name: str) -> bool:
    return any(node.name == name for node in graph_def.node)


_LOOKUPS = {"Gather": 0, "GatherV2": 0, "ResourceGather": 0}


def _vocabularies(graph: Any) -> list[InputFact]:
    """What embedding lookups say about the ids they are given."""
    facts = []
    for op in graph.get_operations():
        if op.type in _LOOKUPS and _axis(op) == 0:
            size = _rows(op.inputs[0])
            if size:
                facts.append(InputFact(op.inputs[1], vocabulary=size))
    return facts


def _axis(op: Any) -> int:
    return 0 if len(op.inputs) < 3 else int(tf.get_static_value(op.inputs[2]) or 0)


def _rows(table: Any) -> int:
    """Rows of the table looked up in; 0 where it is none of floats, or its size is open."""
    shape = table.shape
    if table.dtype == tf.resource:
        if table.op.type != "VarHandleOp":
            return 0
        shape = tf.TensorShape(table.op.get_attr("shape"))
    if shape.rank is None or shape.rank < 2:
        return 0
    return int(shape.as_list()[0] or 0)
