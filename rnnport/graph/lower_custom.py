"""A custom cell's body in a Scan; work on the input alone is done for all steps in front of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from rnnport.custom import CustomSpec
from rnnport.graph.custom_work import (
    Work,
    begin_work,
    body_input,
    inner_mask,
    outside,
    widened,
    zeros,
)
from rnnport.graph.emit import Emitter
from rnnport.graph.hoist import HEAVY
from rnnport.graph.hoist_out import hoist_out

__all__ = ["lower_custom"]


@dataclass(frozen=True, eq=False)
class _Loop:
    """What goes through the Scan.

    Attributes:
        before: what is carried, before the first step.
        carried: the same in the body, before a step.
        new: the same after it.
        inner: steps of what is scanned, in the body.
        scanned: what is scanned, (T, B, …) each.
        outputs: of a step, in the body.
    """

    before: list[ir.Value]
    carried: list[ir.Value]
    new: list[ir.Value]
    inner: list[ir.Value]
    scanned: list[ir.Value]
    outputs: list[ir.Value]


def lower_custom(emit: Emitter, spec: CustomSpec, node: ir.Node) -> tuple[list[ir.Value], str]:
    """Values for the node's outputs, and why it is a Scan.

    Args:
        emit: writes in front of the node.
        spec: what the node stands for.
        node: a `Custom` node; its body goes into the Scan.
    """
    work = begin_work(emit, spec, node)
    count, given = len(spec.steps), len(spec.outputs)
    inputs, old = list(work.body.inputs[:count]), list(work.body.inputs[count:])
    outputs, new = list(work.body.outputs[:given]), list(work.body.outputs[given:])
    through = hoist_out(work, inputs)
    loop = _Loop(list(work.states), old, new, through.inner, through.outer, outputs)
    loop = loop if work.mask is None else _masked(work, loop, work.mask)
    results = _scan(work, loop)
    ends, ys = results[: len(loop.new)], results[len(loop.new) :]
    kinds = [y.dtype for y in outputs]
    ends = [outside(work, v, s) for v, s in zip(ends, _sizes(work, loop), strict=True)]
    each = zip(ys, spec.outputs, kinds, strict=True)
    values = [v for y, own, kind in each for v in _given(work, y, own, kind)]
    kept = ends if work.held else ends[: spec.state_count]
    return [*values, *kept], _reason(spec, through.moved)


def _sizes(work: Work, loop: _Loop) -> list[tuple[int, ...]]:
    """Of everything carried: the states, then outputs that masked steps repeat."""
    spec = work.spec
    return [s for _, s in spec.states] + list(spec.outputs) * (len(loop.new) > spec.state_count)


def _masked(work: Work, loop: _Loop, mask: ir.Value) -> _Loop:
    """The same where masked steps keep states, and repeat outputs where they are not zeroed."""
    spec = work.spec
    axes = [f"{work.batch}/M{n}" for n in range(max(1, spec.mask_axes))]
    valid = body_input(f"{work.batch}/valid", ir.DataType.BOOL, [work.batch, *axes])
    inner, scanned = [*loop.inner, valid], [*loop.scanned, mask]
    new = _choose(work, valid, loop.new, loop.carried, [s for _, s in spec.states])
    if not work.repeats:
        return _Loop(loop.before, loop.carried, new, inner, scanned, loop.outputs)
    last = [
        body_input(f"{work.batch}/y{n}", y.dtype, [work.batch, *spec.inside(sizes)])
        for n, (y, sizes) in enumerate(zip(loop.outputs, spec.outputs, strict=True))
    ]
    outputs = _choose(work, valid, loop.outputs, last, spec.outputs)
    none = [zeros(work, s, y) for s, y in zip(spec.outputs, last, strict=True)]
    before = [*loop.before, *(work.held or none)]
    return _Loop(before, [*loop.carried, *last], [*new, *outputs], inner, scanned, outputs)


def _choose(
    work: Work,
    valid: ir.Value,
    new: Sequence[ir.Value],
    old: Sequence[ir.Value],
    sizes: Sequence[Sequence[int]],
) -> list[ir.Value]:
    """The new values on valid steps, the old ones on masked steps."""
    chosen = []
    for n, o, s in zip(new, old, sizes, strict=True):
        value = work.write.choose(inner_mask(work, valid, len(s)), n, o)
        value.type = o.type
        chosen.append(value)
    return chosen


def _scan(work: Work, loop: _Loop) -> list[ir.Value]:
    """Final values of what is carried, then outputs (T, B, …) in processing order."""
    body = work.body
    # onnxruntime gives garbage where one value is both a state and an output.
    ends = _copies(work, loop.new, loop.carried, _sizes(work, loop))
    ys = _copies(work, loop.outputs, loop.outputs, work.spec.outputs)
    body.inputs.clear()
    body.inputs.extend([*loop.carried, *loop.inner])
    body.outputs.clear()
    body.outputs.extend(_without_copies([*ends, *ys]))
    return work.emit.nodes(
        "Scan",
        [*loop.before, *loop.scanned],
        len(ends) + len(ys),
        body=body,
        num_scan_inputs=len(loop.scanned),
        scan_input_directions=[int(work.spec.go_backwards)] * len(loop.scanned),
        scan_output_directions=[0] * len(ys),
    )


def _without_copies(results: Sequence[ir.Value]) -> list[ir.Value]:
    """Each value itself in place of a copy of it, where the body computes it for this alone."""
    found: list[ir.Value] = []
    for result in results:
        value = result
        while True:
            node = value.producer()
            source = node.inputs[0] if node is not None else None
            if node is None or node.op_type != "Identity" or source is None:
                break
            inner = source.producer()
            if inner is None or inner.graph is not node.graph or source in found:
                break
            value = source
        if value is not result:
            value.type, value.shape = result.type, result.shape
        found.append(value)
    return found


def _copies(
    work: Work,
    values: Sequence[ir.Value],
    like: Sequence[ir.Value],
    sizes: Sequence[Sequence[int]],
) -> list[ir.Value]:
    copies = []
    for value, same, own in zip(values, like, sizes, strict=True):
        copy = work.write.op("Identity", value)
        copy.type = ir.TensorType(same.dtype or ir.DataType.FLOAT)
        copy.shape = ir.Shape([work.batch, *work.spec.inside(own)])
        copies.append(copy)
    return copies


def _given(
    work: Work, y: ir.Value, sizes: Sequence[int], dtype: ir.DataType | None
) -> list[ir.Value]:
    """The sequence (B, T, …) and the last output (B, …) from (T, B, …), in processing order."""
    emit, spec = work.emit, work.spec
    last = outside(work, emit.op("Gather", y, emit.integer(-1), axis=0), sizes)
    behind = list(range(2, 2 + len(sizes)))
    if spec.channels_first and len(sizes) > 1:
        behind = [*behind[1:], behind[0]]
    whole = emit.op("Transpose", y, perm=[1, 0, *behind])
    if work.mask is None or not spec.zero_output_for_mask:
        return [whole, last]
    mask = emit.flip(work.mask, 0) if spec.go_backwards else work.mask  # processing order
    at_end = emit.op("Gather", mask, emit.integer(-1), axis=0)
    zero = emit.zero(dtype)
    last = emit.choose(widened(work, emit, at_end, len(sizes), 1), last, zero)
    chosen = emit.flip(mask, 0) if spec.unreversed_zeros else mask
    behind = list(range(2, 2 + max(1, spec.mask_axes)))
    column = emit.op("Transpose", chosen, perm=[1, 0, *behind])
    return [emit.choose(widened(work, emit, column, len(sizes), 2), whole, zero), last]


def _reason(spec: CustomSpec, hoisted: Sequence[ir.Node]) -> str:
    reason = f"{spec.cell_kind} has no formula of its own in ONNX"
    heavy = Counter(node.op_type for node in hoisted if node.op_type in HEAVY)
    if not heavy:
        return reason
    told = ", ".join(f"{n} {op}" if n > 1 else op for op, n in sorted(heavy.items()))
    return f"{reason}; {told} on the input alone done for all steps at once"
