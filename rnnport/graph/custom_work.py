"""A `Custom` node while it is lowered: its parts, and how they lie inside the loop and outside.

Axis letters: B batch, T time; M the axes of a mask beyond those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from rnnport.custom import CustomSpec
from rnnport.graph.bodies import body_of
from rnnport.graph.emit import Emitter

__all__ = ["Work", "begin_work", "body_input", "inner_mask", "outside", "widened", "zeros"]


@dataclass(frozen=True, eq=False)
class Work:
    """One `Custom` node while it is lowered.

    Attributes:
        emit: writes in front of the node.
        write: writes at the end of the body.
        spec: what to compute.
        body: of one step; becomes the Scan's.
        sequences: (T, B, …) each.
        states: (B, …) each.
        held: outputs carried in a masked stream, (B, …) each.
        mask: (T, B, 1) or (T, B, …) bool, or None.
        batch: the name of the body's batch. A name of its own: inside TimeDistributed it is not
            the model's, and onnxruntime reuses memory between values whose sizes have one name.
    """

    emit: Emitter
    write: Emitter
    spec: CustomSpec
    body: ir.Graph
    sequences: list[ir.Value]
    states: list[ir.Value]
    held: list[ir.Value]
    mask: ir.Value | None
    batch: str

    @property
    def repeats(self) -> bool:
        """Whether masked steps repeat the last output, which the loop must know then."""
        spec = self.spec
        return spec.has_mask and (not spec.zero_output_for_mask or spec.unreversed_zeros)


def begin_work(emit: Emitter, spec: CustomSpec, node: ir.Node) -> Work:
    """Take the node's inputs apart, and give the body's inputs sizes."""
    number = emit.weights.meta["rnnport_bodies"] = emit.weights.meta.get("rnnport_bodies", 0) + 1
    prefix = f"{spec.name}_step{number}"
    body, batch = body_of(node), f"{prefix}/B"
    given = [v for v in node.inputs if v is not None]
    mask = given.pop() if spec.has_mask else None
    first, end = spec.first_state, spec.first_state + spec.state_count
    sizes = [*spec.steps, *(s for _, s in spec.states)]
    for index, (value, own) in enumerate(zip(body.inputs, sizes, strict=True)):
        named = [
            f"{prefix}/N{index}_{n}" if s is None else s for n, s in enumerate(spec.inside(own))
        ]
        value.shape = ir.Shape([batch, *named])
    return Work(
        emit=emit,
        write=Emitter(body, weights=emit.weights, prefix=f"{prefix}/"),
        spec=spec,
        body=body,
        sequences=[
            time_major(emit, x, len(s), spec)
            for x, s in zip(given[:first], spec.steps, strict=True)
        ],
        states=[
            inside(emit, spec, v, len(s))
            for v, (_, s) in zip(given[first:end], spec.states, strict=True)
        ],
        held=[
            inside(emit, spec, v, len(s)) for v, s in zip(given[end:], spec.outputs, strict=False)
        ],
        mask=None if mask is None else time_major_mask(emit, spec, mask),
        batch=batch,
    )


def time_major(emit: Emitter, x: ir.Value, inner: int, spec: CustomSpec) -> ir.Value:
    """(B, T, …) to (T, B, …), channels where the body wants them."""
    behind = list(range(2, 2 + inner))
    return emit.op("Transpose", x, perm=[1, 0, *spec.inside(behind)])


def inside(emit: Emitter, spec: CustomSpec, x: ir.Value, inner: int) -> ir.Value:
    """A state or output (B, …) as the body has it."""
    if not spec.channels_first or inner < 2:
        return x
    return emit.op("Transpose", x, perm=[0, inner, *range(1, inner)])


def outside(work: Work, x: ir.Value, sizes: Sequence[int]) -> ir.Value:
    """A state or output (B, …) as the node gives it."""
    inner = len(sizes)
    if not work.spec.channels_first or inner < 2:
        return x
    return work.emit.op("Transpose", x, perm=[0, *range(2, inner + 1), 1])


def time_major_mask(emit: Emitter, spec: CustomSpec, mask: ir.Value) -> ir.Value:
    """(B, T) to (T, B, 1); (B, T, …) to (T, B, …)."""
    if not spec.mask_axes:
        mask = emit.op("Unsqueeze", mask, emit.ints(2))
    behind = range(2, 2 + max(1, spec.mask_axes))
    return emit.op("Transpose", mask, perm=[1, 0, *behind])


def body_input(name: str, dtype: ir.DataType | None, shape: Sequence[int | str]) -> ir.Value:
    """A further input of the body."""
    assert dtype is not None
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))


def inner_mask(work: Work, mask: ir.Value, inner: int) -> ir.Value:
    """(B, M…) against values of the body with so many axes behind the batch."""
    spec = work.spec
    if not (spec.channels_first and spec.mask_axes and inner > 1):
        return widened(work, work.write, mask, inner, 1)
    # Its axes are sizes of the image, in front of which the body has the channels.
    apart = work.write.op("Unsqueeze", mask, work.write.ints(1))
    return widened(work, work.write, apart, inner - 1, 2)


def widened(work: Work, emit: Emitter, mask: ir.Value, inner: int, front: int) -> ir.Value:
    """A mask with so many axes behind those in front."""
    own = max(1, work.spec.mask_axes)
    if inner <= own:
        return mask
    return emit.op("Unsqueeze", mask, emit.ints(*range(front + own, front + inner)))


def zeros(work: Work, sizes: Sequence[int], like: ir.Value) -> ir.Value:
    """Zeros (B, …) in the dtype of another value."""
    emit = work.emit
    shape = emit.size(work.sequences[0], 1)
    if sizes:
        shape = emit.op("Concat", shape, emit.ints(*work.spec.inside(sizes)), axis=0)
    zero = emit.op("Expand", emit.real(0.0), shape)
    if like.dtype in (None, ir.DataType.FLOAT):
        return zero
    return emit.op("Cast", zero, to=like.dtype.value)
