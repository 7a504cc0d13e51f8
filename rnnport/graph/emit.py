"""Writes ONNX nodes into a graph, in front of the node being lowered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

__all__ = ["Emitter", "initializer", "stand_in"]


def initializer(name: str, array: np.ndarray[Any, Any]) -> ir.Value:
    """A constant that is not yet in a graph."""
    tensor = ir.tensor(array, name=name)
    return ir.Value(
        name=name,
        shape=ir.Shape(array.shape),
        type=ir.TensorType(tensor.dtype),
        const_value=tensor,
    )


class Emitter:
    """Adds nodes and initialisers to a graph.

    Args:
        graph: the graph (or Scan body) that receives the nodes.
        before: nodes are inserted in front of this one; at the end where None.
        weights: the graph that holds initialisers; the same graph where None. A Scan body reads
            the outer graph's, so that weights are stored once.
        prefix: starts the names of new values.
    """

    def __init__(
        self,
        graph: ir.Graph,
        *,
        before: ir.Node | None = None,
        weights: ir.Graph | None = None,
        prefix: str = "",
    ) -> None:
        self.graph = graph
        self.weights = weights if weights is not None else graph
        self.prefix = prefix
        self._before = before

    def nodes(
        self, op_type: str, inputs: Sequence[ir.Value | None], count: int, **attributes: Any
    ) -> list[ir.Value]:
        """Add one node of the default domain; returns its `count` outputs."""
        node = ir.node(op_type, inputs, attributes or None, num_outputs=count)
        self.add(node)
        return list(node.outputs)

    def op(self, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """Add one node with one output."""
        return self.nodes(op_type, inputs, 1, **attributes)[0]

    def add(self, node: ir.Node) -> None:
        """Insert a finished node."""
        number = self.weights.meta["rnnport_values"] = (
            self.weights.meta.get("rnnport_values", 0) + 1
        )
        # A dot, not the underscore of TensorFlow: its scopes may have the same name as a layer.
        node.name = f"{self.prefix}{node.op_type}.{number}"
        for index, value in enumerate(node.outputs):
            value.name = f"{node.name}:{index}"
        if self._before is None:
            self.graph.append(node)
        else:
            self.graph.insert_before(self._before, node)

    def weight(self, name: str, array: np.ndarray[Any, Any]) -> ir.Value:
        """An initialiser under a fixed name; the same name gives the same value."""
        known = self.weights.initializers.get(name)
        if known is not None:
            return known
        value = initializer(name, np.asarray(array, order="C"))
        self.weights.register_initializer(value)
        return value

    def ints(self, *values: int) -> ir.Value:
        """A 1-D int64 constant."""
        return self.weight(f"ints_{'_'.join(map(str, values))}", np.array(values, np.int64))

    def integer(self, value: int) -> ir.Value:
        """A scalar int64 constant."""
        return self.weight(f"int_{value}", np.array(value, np.int64))

    def real(self, value: float) -> ir.Value:
        """A scalar float32 constant."""
        return self.weight(f"float_{value}", np.array(value, np.float32))

    def zero(self, dtype: ir.DataType | None) -> ir.Value:
        """A scalar zero of this dtype; float32 where nothing is known."""
        if dtype in (None, ir.DataType.FLOAT):
            return self.real(0.0)
        assert dtype is not None
        return self.weight(f"zero_{dtype.name.lower()}", np.zeros((), dtype.numpy()))

    def choose(self, condition: ir.Value, value: ir.Value, other: ir.Value) -> ir.Value:
        """`Where`; of bools, which onnxruntime's does not take, the same in logic."""
        if ir.DataType.BOOL not in (value.dtype, other.dtype):
            return self.op("Where", condition, value, other)
        taken = self.op("And", condition, value)
        return self.op("Or", taken, self.op("And", self.op("Not", condition), other))

    def size(self, x: ir.Value, axis: int) -> ir.Value:
        """Length of one axis, 1-D int64 of one element."""
        return self.op("Shape", x, start=axis, end=axis + 1)

    def zeros(self, batch: ir.Value, units: int) -> ir.Value:
        """A (B, U) float32 of zeros; `batch` is 1-D int64."""
        shape = self.op("Concat", batch, self.ints(units), axis=0)
        return self.op("Expand", self.real(0.0), shape)

    def flip(self, x: ir.Value, axis: int) -> ir.Value:
        """Reverse one axis."""
        return self.op(
            "Slice", x, self.ints(-1), self.ints(-(2**62)), self.ints(axis), self.ints(-1)
        )


def stand_in(old: ir.Value, new: ir.Value) -> None:
    """Let `new` take the place of `old` everywhere, as a graph output with its name too."""
    if not old.is_graph_output():
        old.replace_all_uses_with(new)
        return
    graph = old.graph
    assert graph is not None
    if new.is_graph_output() or new.is_graph_input() or new.is_initializer():
        copy = ir.node("Identity", [new])
        graph.append(copy)
        new = copy.outputs[0]
    name, kind, shape = old.name, old.type, old.shape
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    old.name = f"{name}/replaced"
    new.name, new.type, new.shape = name, kind, shape
