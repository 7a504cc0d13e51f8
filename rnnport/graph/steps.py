"""Recognises single steps cut from a sequence, and steps stacked into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from rnnport.graph.emit import Emitter, stand_in

__all__ = ["Step", "joined_steps", "step_of"]


@dataclass(frozen=True, eq=False)
class Step:
    """One position of a sequence.

    Attributes:
        source: (B, T, F) where axis is 1, (T, B, F) where it is 0.
        axis: the time axis.
        index: the position.
        length: T as traced, or None where it was dynamic.
    """

    source: ir.Value
    axis: int
    index: int
    length: int | None


def step_of(value: ir.Value) -> Step | None:
    """Which step of which sequence a (B, F) value is, or None."""
    node = value.producer()
    if node is None or node.domain:
        return None
    if node.op_type == "Gather":
        return _from_gather(node)
    if node.op_type == "Squeeze":
        return _from_squeeze(node)
    return None


def _from_gather(node: ir.Node) -> Step | None:
    index = _ints(node.inputs[1])
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 0
    if index is None or len(index) != 1 or axis not in (0, 1):
        return None
    return _step(node.inputs[0], axis, index[0])


def _from_squeeze(node: ir.Node) -> Step | None:
    axes = _ints(node.inputs[1]) if len(node.inputs) > 1 else None
    inner = node.inputs[0].producer() if node.inputs[0] is not None else None
    if axes is None or len(axes) != 1 or axes[0] not in (0, 1) or inner is None:
        return None
    if inner.op_type == "Slice":
        return _from_slice(inner, axes[0])
    if inner.op_type == "Split" and _split_axis(inner) == axes[0]:
        sizes = _ints(inner.inputs[1]) if len(inner.inputs) > 1 else None
        parts = len(inner.outputs)
        if sizes is None or set(sizes) == {1}:
            value = node.inputs[0]
            assert value is not None
            found = _step(inner.inputs[0], axes[0], int(value.index() or 0))
            whole = found is not None and found.length in (None, parts)
            return Step(found.source, axes[0], found.index, parts) if found and whole else None
    return None


def _from_slice(node: ir.Node, axis: int) -> Step | None:
    given = [_ints(v) for v in node.inputs[1:]]
    if len(given) < 3 or any(g is None for g in given):
        return None
    starts, ends, axes = (list(g or []) for g in given[:3])
    if len(given) == 4 and set(given[3] or []) != {1}:
        return None
    for start, end, at in zip(starts, ends, axes, strict=True):
        if at == axis and end != start + 1:
            return None
        if at != axis and (start != 0 or end < 2**31 - 1):
            return None
    return _step(node.inputs[0], axis, starts[axes.index(axis)]) if axis in axes else None


def _step(source: ir.Value | None, axis: int, index: int) -> Step | None:
    if source is None:
        return None
    shape = source.meta.get("traced_shape") or source.shape
    if shape is not None and len(shape) != 3:
        return None
    size = shape[axis] if shape is not None else None
    length = int(size) if isinstance(size, int) else None
    if index < 0:
        index += length or 0
    return Step(source, axis, index, length) if index >= 0 else None


def _split_axis(node: ir.Node) -> int:
    return node.attributes["axis"].as_int() if "axis" in node.attributes else 0


def _ints(value: ir.Value | None) -> list[int] | None:
    tensor = ir.convenience.get_const_tensor(value) if value is not None else None
    return None if tensor is None else [int(i) for i in tensor.numpy().ravel()]


def joined_steps(emit: Emitter, steps: Sequence[ir.Value], sequence: ir.Value) -> None:
    """Where all steps (B, U) are stacked in order, put the (B, T, U) sequence there instead."""
    for concat in _stacks(steps):
        axis = concat.attributes["axis"].as_int()
        whole = sequence
        if axis == 0:
            whole = emit.op("Transpose", sequence, perm=[1, 0, 2])
        stand_in(concat.outputs[0], whole)
        lifted = [v.producer() for v in concat.inputs if v is not None]
        graph = concat.graph
        assert graph is not None
        graph.remove(concat, safe=True)
        for node in lifted:
            if node is not None and not node.outputs[0].uses():
                graph.remove(node, safe=True)


def _stacks(steps: Sequence[ir.Value]) -> list[ir.Node]:
    """Concat nodes over Unsqueeze of exactly these steps, along axis 0 or 1."""
    found = []
    for use in steps[0].uses():
        if use.node.op_type != "Unsqueeze":
            continue
        axes = _ints(use.node.inputs[1])
        for outer in use.node.outputs[0].uses():
            node = outer.node
            if node.op_type != "Concat" or axes != [node.attributes["axis"].as_int()]:
                continue
            origins = [_unsqueezed(v) for v in node.inputs]
            same = len(origins) == len(steps) and all(
                a is b for a, b in zip(origins, steps, strict=True)
            )
            if same and axes in ([0], [1]):
                found.append(node)
    return found


def _unsqueezed(value: ir.Value | None) -> ir.Value | None:
    node = value.producer() if value is not None else None
    return node.inputs[0] if node is not None and node.op_type == "Unsqueeze" else None
