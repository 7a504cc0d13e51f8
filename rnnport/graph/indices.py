"""Drops what Keras does to negative indices before it looks them up: ONNX's Gather does the same.

`keras.ops.take`, and so Embedding, reads indices i < 0 as i + n; so does Gather, by definition.
"""

from __future__ import annotations

import onnx_ir as ir

from rnnport.graph.origins import made_by, number

__all__ = ["drop_wrapping"]


def drop_wrapping(model: ir.Model) -> None:
    """Let every Gather read the indices themselves, in place."""
    for node in model.graph.all_nodes():
        if node.op_type == "Gather" and not node.domain:
            plain = _unwrapped(node)
            if plain is not None:
                node.replace_input_with(1, plain)


def _unwrapped(gather: ir.Node) -> ir.Value | None:
    """I, where the indices are Where(i < 0, i + n, i) for the n entries there are."""
    where = made_by(gather.inputs[1], "Where")
    if where is None:
        return None
    condition, wrapped, plain = where.inputs
    size = _entries(gather)
    if plain is None or size is None or _added(wrapped, plain) != size:
        return None
    less = made_by(condition, "Less")
    if less is None or number(less.inputs[1]) != 0:
        return None
    cast = made_by(less.inputs[0], "Cast")
    compared = less.inputs[0] if cast is None else cast.inputs[0]
    return plain if compared is plain else None


def _entries(gather: ir.Node) -> int | None:
    """How many entries there are along the axis."""
    data, axis = gather.inputs[0], gather.attributes.get("axis")
    place = 0 if axis is None else axis.as_int()
    if data is None or data.shape is None or not -len(data.shape) <= place < len(data.shape):
        return None
    size = data.shape[place]
    return size if isinstance(size, int) else None


def _added(value: ir.Value | None, plain: ir.Value) -> float | None:
    """C, where the value is plain + c."""
    add = made_by(value, "Add")
    if add is None or plain not in add.inputs:
        return None
    return number(add.inputs[1] if add.inputs[0] is plain else add.inputs[0])
