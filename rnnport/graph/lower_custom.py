"""A custom cell's body in a Scan; work on the input alone is done for all steps in front of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from rnnport.custom import CustomSpec, Sizes
from rnnport.graph.bodies import body_of
from rnnport.graph.emit import Emitter
from rnnport.graph.hoist import HEAVY, hoistable
from rnnport.graph.split_product import split_products

__all__ = ["lower_custom"]


@dataclass(frozen=True, eq=False)
class _Work:
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


def lower_custom(emit: Emitter, spec: CustomSpec, node: ir.Node) -> tuple[list[ir.Value], str]:
    """Values for the node's outputs, and why it is a Scan.

    Args:
        emit: writes in front of the node.
        spec: what the node stands for.
        node: a `Custom` node; its body goes into the Scan.
    """
    work = _begin(emit, spec, node)
    count = len(spec.steps)
    inputs, old = list(work.body.inputs[:count]), list(work.body.inputs[count:])
    outputs = list(work.body.outputs[: len(spec.outputs)])
    new = list(work.body.outputs[len(spec.outputs) :])
    inner, scanned, hoisted = _hoist(work, inputs)
    before, carried = list(work.states), old
    if work.mask is not None:
        axes = [f"{work.batch}/M{n}" for n in range(max(1, spec.mask_axes))]
        valid = _input(f"{work.batch}/valid", ir.DataType.BOOL, [work.batch, *axes])
        inner, scanned = [*inner, valid], [*scanned, work.mask]
        new = _choose(work, valid, new, old, [s for _, s in spec.states])
        if work.repeats:
            last = [
                _input(f"{work.batch}/y{n}", y.dtype, [work.batch, *spec.inside(sizes)])
                for n, (y, sizes) in enumerate(zip(outputs, spec.outputs, strict=True))
            ]
            outputs = _choose(work, valid, outputs, last, spec.outputs)
            new, carried = [*new, *outputs], [*old, *last]
            before += work.held or [
                _zeros(work, s, y) for s, y in zip(spec.outputs, last, strict=True)
            ]
    results = _scan(work, carried, before, inner, scanned, new, outputs)
    ends, ys = results[: len(new)], results[len(new) :]
    sizes = [s for _, s in spec.states] + list(spec.outputs) * (len(new) > spec.state_count)
    ends = [_outside(work, v, s) for v, s in zip(ends, sizes, strict=True)]
    values = [v for y, own in zip(ys, spec.outputs, strict=True) for v in _given(work, y, own)]
    kept = ends if work.held else ends[: spec.state_count]
    return [*values, *kept], _reason(spec, hoisted)


def _begin(emit: Emitter, spec: CustomSpec, node: ir.Node) -> _Work:
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
    return _Work(
        emit=emit,
        write=Emitter(body, weights=emit.weights, prefix=f"{prefix}/"),
        spec=spec,
        body=body,
        sequences=[
            _time_major(emit, x, len(s), spec)
            for x, s in zip(given[:first], spec.steps, strict=True)
        ],
        states=[
            _inside(emit, spec, v, len(s))
            for v, (_, s) in zip(given[first:end], spec.states, strict=True)
        ],
        held=[
            _inside(emit, spec, v, len(s)) for v, s in zip(given[end:], spec.outputs, strict=False)
        ],
        mask=None if mask is None else _time_major_mask(emit, spec, mask),
        batch=batch,
    )


def _time_major(emit: Emitter, x: ir.Value, inner: int, spec: CustomSpec) -> ir.Value:
    """(B, T, …) to (T, B, …), channels where the body wants them."""
    behind = list(range(2, 2 + inner))
    return emit.op("Transpose", x, perm=[1, 0, *spec.inside(behind)])


def _inside(emit: Emitter, spec: CustomSpec, x: ir.Value, inner: int) -> ir.Value:
    """A state or output (B, …) as the body has it."""
    if not spec.channels_first or inner < 2:
        return x
    return emit.op("Transpose", x, perm=[0, inner, *range(1, inner)])


def _outside(work: _Work, x: ir.Value, sizes: Sequence[int]) -> ir.Value:
    """A state or output (B, …) as the node gives it."""
    inner = len(sizes)
    if not work.spec.channels_first or inner < 2:
        return x
    return work.emit.op("Transpose", x, perm=[0, *range(2, inner + 1), 1])


def _time_major_mask(emit: Emitter, spec: CustomSpec, mask: ir.Value) -> ir.Value:
    """(B, T) to (T, B, 1); (B, T, …) to (T, B, …)."""
    if not spec.mask_axes:
        mask = emit.op("Unsqueeze", mask, emit.ints(2))
    behind = range(2, 2 + max(1, spec.mask_axes))
    return emit.op("Transpose", mask, perm=[1, 0, *behind])


def _input(name: str, dtype: ir.DataType | None, shape: Sequence[int | str]) -> ir.Value:
    assert dtype is not None
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))


def _hoist(
    work: _Work, inputs: Sequence[ir.Value]
) -> tuple[list[ir.Value], list[ir.Value], list[ir.Node]]:
    """Move what depends on the input alone out of the body.

    Returns:
        The body's inputs that are left of the sequences or new, what is scanned for each of them,
        and the nodes moved.
    """
    emit, body = work.emit, work.body
    steps = [work.spec.inside(sizes) for sizes in work.spec.steps]
    known = dict(zip(inputs, steps, strict=True))
    split_products(body, known, emit.weights)
    moved = hoistable(body, known)
    folded: dict[ir.Value | None, ir.Value] = {}
    for value, sequence, sizes in zip(inputs, work.sequences, steps, strict=True):
        if any(use.node in moved for use in value.uses()):
            folded[value] = _fold(emit, sequence, sizes)
    for node in moved:
        body.remove(node)
        for index, own in enumerate(node.inputs):
            if own in folded:
                node.replace_input_with(index, folded[own])
        emit.add(node)
    inner, scanned = [], []
    for value, sequence in zip(inputs, work.sequences, strict=True):
        if value.uses():
            inner.append(value)
            scanned.append(sequence)
    members = set(moved)
    for result in [v for node in moved for v in node.outputs]:
        readers = [use for use in result.uses() if use.node not in members]
        if readers:
            step = ir.Value(name=f"{result.name}/step", type=result.type)
            for use in readers:
                use.node.replace_input_with(use.idx, step)
            inner.append(step)
            scanned.append(_unfold(emit, result, work.sequences[0]))
    if not inner:  # the loop must know how long it is
        return [inputs[0]], [work.sequences[0]], moved
    return inner, scanned, moved


def _fold(emit: Emitter, x: ir.Value, sizes: Sizes) -> ir.Value:
    """(T, B, …) to (T·B, …)."""
    if all(size is not None for size in sizes):
        shape = emit.ints(-1, *(size for size in sizes if size is not None))
    else:
        shape = emit.op("Concat", emit.ints(-1), emit.op("Shape", x, start=2), axis=0)
    return emit.op("Reshape", x, shape)


def _unfold(emit: Emitter, x: ir.Value, like: ir.Value) -> ir.Value:
    """(T·B, …) to (T, B, …)."""
    front = emit.op("Shape", like, start=0, end=2)
    shape = emit.op("Concat", front, emit.op("Shape", x, start=1), axis=0)
    return emit.op("Reshape", x, shape)


def _choose(
    work: _Work,
    valid: ir.Value,
    new: Sequence[ir.Value],
    old: Sequence[ir.Value],
    sizes: Sequence[Sequence[int]],
) -> list[ir.Value]:
    """The new values on valid steps, the old ones on masked steps."""
    return [
        work.write.op("Where", _inner_mask(work, valid, len(s)), n, o)
        for n, o, s in zip(new, old, sizes, strict=True)
    ]


def _inner_mask(work: _Work, mask: ir.Value, inner: int) -> ir.Value:
    """(B, M…) against values of the body with so many axes behind the batch."""
    spec = work.spec
    if not (spec.channels_first and spec.mask_axes and inner > 1):
        return _widened(work, work.write, mask, inner, 1)
    # Its axes are sizes of the image, in front of which the body has the channels.
    apart = work.write.op("Unsqueeze", mask, work.write.ints(1))
    return _widened(work, work.write, apart, inner - 1, 2)


def _widened(work: _Work, emit: Emitter, mask: ir.Value, inner: int, front: int) -> ir.Value:
    """A mask with so many axes behind those in front."""
    own = max(1, work.spec.mask_axes)
    if inner <= own:
        return mask
    return emit.op("Unsqueeze", mask, emit.ints(*range(front + own, front + inner)))


def _zeros(work: _Work, sizes: Sequence[int], like: ir.Value) -> ir.Value:
    """Zeros (B, …) in the dtype of another value."""
    emit = work.emit
    shape = emit.size(work.sequences[0], 1)
    if sizes:
        shape = emit.op("Concat", shape, emit.ints(*work.spec.inside(sizes)), axis=0)
    zero = emit.op("Expand", emit.real(0.0), shape)
    if like.dtype in (None, ir.DataType.FLOAT):
        return zero
    return emit.op("Cast", zero, to=like.dtype.value)


def _scan(
    work: _Work,
    carried: Sequence[ir.Value],
    before: Sequence[ir.Value],
    inner: Sequence[ir.Value],
    scanned: Sequence[ir.Value],
    new: Sequence[ir.Value],
    outputs: Sequence[ir.Value],
) -> list[ir.Value]:
    """Final values of what is carried, then outputs (T, B, …) in processing order."""
    spec, body = work.spec, work.body
    sizes = [s for _, s in spec.states] + list(spec.outputs) * (len(new) > spec.state_count)
    # onnxruntime gives garbage where one value is both a state and an output.
    ends = _copies(work, new, carried, sizes)
    ys = _copies(work, outputs, outputs, spec.outputs)
    body.inputs.clear()
    body.inputs.extend([*carried, *inner])
    body.outputs.clear()
    body.outputs.extend(_without_copies([*ends, *ys]))
    return work.emit.nodes(
        "Scan",
        [*before, *scanned],
        len(ends) + len(ys),
        body=body,
        num_scan_inputs=len(scanned),
        scan_input_directions=[int(spec.go_backwards)] * len(scanned),
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
    work: _Work,
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


def _given(work: _Work, y: ir.Value, sizes: Sequence[int]) -> list[ir.Value]:
    """The sequence (B, T, …) and the last output (B, …) from (T, B, …), in processing order."""
    emit, spec = work.emit, work.spec
    last = _outside(work, emit.op("Gather", y, emit.integer(-1), axis=0), sizes)
    behind = list(range(2, 2 + len(sizes)))
    if spec.channels_first and len(sizes) > 1:
        behind = [*behind[1:], behind[0]]
    whole = emit.op("Transpose", y, perm=[1, 0, *behind])
    if work.mask is None or not spec.zero_output_for_mask:
        return [whole, last]
    mask = emit.flip(work.mask, 0) if spec.go_backwards else work.mask  # processing order
    at_end = emit.op("Gather", mask, emit.integer(-1), axis=0)
    zero = emit.real(0.0)
    last = emit.op("Where", _widened(work, emit, at_end, len(sizes), 1), last, zero)
    chosen = emit.flip(mask, 0) if spec.unreversed_zeros else mask
    behind = list(range(2, 2 + max(1, spec.mask_axes)))
    column = emit.op("Transpose", chosen, perm=[1, 0, *behind])
    return [emit.op("Where", _widened(work, emit, column, len(sizes), 2), whole, zero), last]


def _reason(spec: CustomSpec, hoisted: Sequence[ir.Node]) -> str:
    reason = f"{spec.cell_kind} has no formula of its own in ONNX"
    heavy = Counter(node.op_type for node in hoisted if node.op_type in HEAVY)
    if not heavy:
        return reason
    told = ", ".join(f"{n} {op}" if n > 1 else op for op, n in sorted(heavy.items()))
    return f"{reason}; {told} on the input alone done for all steps at once"
