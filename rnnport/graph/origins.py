"""Where a value comes from: nothing but zeros, one graph input, or a whole sequence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

import numpy as np
import onnx_ir as ir

__all__ = [
    "SIZES",
    "dependents",
    "is_zero",
    "made_by",
    "number",
    "reads",
    "sequence_behind",
    "sole_input",
]

# Zeros in their first input, whatever the others say, are zeros in the output.
_KEEPS_ZERO = {
    "Identity",
    "Cast",
    "Expand",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Tile",
    "Slice",
    "Transpose",
    "Gather",
}
# Only the sizes of their input matter.
SIZES = {"Shape", "Size"}


def made_by(value: ir.Value | None, op: str) -> ir.Node | None:
    """The node that makes a value, where it is this operator of the default domain."""
    node = value.producer() if value is not None else None
    return node if node is not None and node.op_type == op and not node.domain else None


def number(value: ir.Value | None) -> float | None:
    """The number that a constant of one element is; None of anything else."""
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    if tensor is None or tensor.size != 1 or tensor.dtype == ir.DataType.STRING:
        return None
    return float(tensor.numpy().item())


def is_zero(value: ir.Value) -> bool:
    """Whether a value holds nothing but zeros, as far as its making tells."""
    constant = ir.convenience.get_const_tensor(value)
    if constant is not None:
        return not np.any(constant.numpy())
    node = value.producer()
    if node is None or node.domain:
        return False
    if node.op_type == "ConstantOfShape":
        filling = node.attributes.get("value")
        return filling is None or not np.any(filling.as_tensor().numpy())
    first = node.inputs[0] if node.inputs else None
    return node.op_type in _KEEPS_ZERO and first is not None and is_zero(first)


def sole_input(value: ir.Value) -> ir.Value | None:
    """The graph input that a value is, where nobody else reads it; else None."""
    node = value.producer()
    while node is not None and node.op_type == "Identity" and not node.domain:
        if len(list(value.uses())) != 1 or node.inputs[0] is None:
            return None
        value = node.inputs[0]
        node = value.producer()
    alone = len(list(value.uses())) == 1 and not value.is_graph_output()
    return value if value.is_graph_input() and alone else None


def sequence_behind(value: ir.Value, sequences: Set[ir.Value]) -> ir.Node | None:
    """The node through which a value depends on what a sequence holds; None where it does not.

    Args:
        value: e.g. an initial state.
        sequences: graph inputs with a time axis.

    Returns:
        A node of rnnport's own on the way, where there is one, or else the reader of the sequence.
    """
    pending, visited = [value], set[int]()
    first: ir.Node | None = None
    reached = False
    while pending:
        node = pending.pop().producer()
        if node is None or id(node) in visited or node.op_type in SIZES:
            continue
        visited.add(id(node))
        first = first or (node if node.domain else None)
        for source in reads(node):
            if source in sequences:
                reached, first = True, first or node
            pending.append(source)
    return first if reached else None


def dependents(nodes: Iterable[ir.Node], sources: Set[ir.Value]) -> set[ir.Node]:
    """Of nodes in order, those that depend on any of the values, be it on a size alone."""
    known = set(sources)
    found: set[ir.Node] = set()
    for node in nodes:
        if any(value in known for value in reads(node)):
            found.add(node)
            known.update(node.outputs)
    return found


def reads(node: ir.Node) -> Iterator[ir.Value]:
    """Inputs of a node, and what its subgraphs read from outside."""
    yield from (v for v in node.inputs if v is not None)
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            for inner in attribute.as_graph().all_nodes():
                yield from (v for v in inner.inputs if v is not None)
