"""One `Recurrent` node while it is being lowered, and what a lowering gives back."""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from rnnport.graph.compaction import Compaction, compaction
from rnnport.graph.emit import Emitter
from rnnport.graph.packing import Packing, packing
from rnnport.recurrent import RecurrentSpec

__all__ = ["Call", "Lowered", "MaskPlans", "shape_last", "shape_outputs"]


class MaskPlans:
    """Compactions and packings already built, so that layers under one mask share them."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, bool], Compaction] = {}
        self._packed: dict[tuple[int, int, bool], Packing] = {}

    def get(self, emit: Emitter, mask: ir.Value, *, backwards: bool) -> Compaction:
        """The compaction for this mask and direction."""
        key = (id(emit.graph), id(mask), backwards)
        if key not in self._known:
            self._known[key] = compaction(emit, mask, backwards=backwards)
        return self._known[key]

    def packed(self, emit: Emitter, mask: ir.Value, *, backwards: bool) -> Packing:
        """The packing for this mask and direction."""
        key = (id(emit.graph), id(mask), backwards)
        if key not in self._packed:
            self._packed[key] = packing(emit, mask, backwards=backwards)
        return self._packed[key]


@dataclass(frozen=True, eq=False)
class Call:
    """Inputs of a `Recurrent` node.

    Attributes:
        spec: what to compute.
        emit: writes in front of the node.
        x: (B, T, F)
        states: initial states of every cell in turn, (B, U) each; empty for zeros.
        mask: (B, T) bool, or None.
        plans: compactions shared between layers.
        wants_states: which final states somebody reads.
        target: whom the graph is for, one of lower.TARGETS.
    """

    spec: RecurrentSpec
    emit: Emitter
    x: ir.Value
    states: tuple[ir.Value, ...]
    mask: ir.Value | None
    plans: MaskPlans
    wants_states: tuple[bool, ...] = ()
    target: str = "portable"

    @property
    def before(self) -> ir.Value:
        """The output before any valid step, (B, U) or a scalar.

        Zeros in Keras, even where an initial state is given; in a stream the output carried.
        """
        if not self.spec.stream:
            return self.emit.real(0.0)
        return self.cell_states()[-1][0]

    def cell_states(self) -> list[tuple[ir.Value, ...]]:
        """Initial states grouped by cell; empty groups for zeros."""
        if not self.states:
            return [() for _ in self.spec.cells]
        groups, start = [], 0
        for cell in self.spec.cells:
            groups.append(tuple(self.states[start : start + len(cell.states)]))
            start += len(cell.states)
        return groups


@dataclass(frozen=True, eq=False)
class Lowered:
    """Values that take the place of the node's outputs.

    Attributes:
        outputs: (B, T, U)
        last: (B, U)
        finals: final states of every cell in turn, (B, U) each.
        how: name of the lowering, for the manifest.
        reason: why, where it is not the fused op alone.
    """

    outputs: ir.Value
    last: ir.Value
    finals: list[ir.Value] = field(default_factory=list)
    how: str = ""
    reason: str = ""


def shape_outputs(call: Call, y: ir.Value, mask: ir.Value, seen: ir.Value | None) -> ir.Value:
    """What Keras gives on masked steps: zeros, or the last output and zeros before the first.

    In a stream the output carried from before takes the place of the latter zeros.

    Args:
        call: the node.
        y: (B, T, U) with the last output repeated on masked steps.
        mask: valid steps, in the same time order as y.
        seen: whether a valid step has come yet, or None where y is right before it anyway.
    """
    if not call.spec.zero_output_for_mask:
        return _where(call, seen, y, _each_step(call))
    zero = call.emit.real(0.0)
    if call.spec.unreversed_zeros:
        return _where(call, call.emit.flip(mask, 1), _where(call, seen, y, zero), zero)
    return _where(call, mask, y, zero)


def _each_step(call: Call) -> ir.Value:
    """`call.before` as it stands against (B, T, U)."""
    before = call.before
    return call.emit.op("Unsqueeze", before, call.emit.ints(1)) if call.spec.stream else before


def _where(call: Call, chosen: ir.Value | None, y: ir.Value, other: ir.Value) -> ir.Value:
    """Y where chosen, `other` elsewhere; chosen has the mask's shape."""
    if chosen is None:
        return y
    emit = call.emit
    if not call.spec.unit_mask:
        chosen = emit.op("Unsqueeze", chosen, emit.ints(2))
    return emit.op("Where", chosen, y, other)


def shape_last(call: Call, last: ir.Value, mask: ir.Value, any_valid: ir.Value | None) -> ir.Value:
    """The last step's output as Keras gives it under a mask.

    Args:
        call: the node.
        last: the last valid step's output.  # (B, U)
        mask: valid steps in processing order.  # (B, T)
        any_valid: (B, 1), or None where `last` is right for rows without a valid step anyway.
    """
    emit = call.emit
    if call.spec.zero_output_for_mask:
        at_end = emit.op("Slice", mask, emit.ints(-1), emit.ints(2**62), emit.ints(1))
        if call.spec.unit_mask:
            at_end = emit.op("Squeeze", at_end, emit.ints(1))
        return emit.op("Where", at_end, last, emit.real(0.0))
    if any_valid is None:
        return last
    return emit.op("Where", any_valid, last, call.before)
