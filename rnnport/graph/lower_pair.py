"""Two like directions of a Bidirectional become one operator."""

from __future__ import annotations

import onnx_ir as ir

from rnnport.graph.activations import holds_state
from rnnport.graph.call import Call, Lowered
from rnnport.graph.fused import OPS, run_cells
from rnnport.graph.lower_hold import finish_hold, held_input
from rnnport.graph.obstacles import like_directions, obstacle

__all__ = ["can_pair", "lower_pair"]


def can_pair(forward: Call, backward: Call) -> bool:
    """Whether one `direction=bidirectional` operator computes both calls."""
    specs = forward.spec, backward.spec
    if any(len(spec.cells) != 1 or spec.unit_mask for spec in specs):
        return False
    one, other = forward.spec.cells[0], backward.spec.cells[0]
    alike = (one.kind, one.units, one.reset_after) == (other.kind, other.units, other.reset_after)
    alike = alike and (one.peephole is None) == (other.peephole is None)
    fusable = not any(obstacle(cell, forward.target) for cell in (one, other))
    fusable = fusable and like_directions(one, other, forward.target)
    # There SimpleRNN is faster as a Scan.
    fusable = fusable and (one.kind != "SimpleRNN" or forward.target != "cpu")
    same = forward.x is backward.x and bool(forward.states) == bool(backward.states)
    masks = forward.mask is None and backward.mask is None
    # On the CPU packed steps are faster than held ones.
    held = forward.mask is backward.mask and one.kind == "GRU" and holds_state(one)
    held = held and forward.target != "cpu"
    return alike and fusable and same and (masks or (held and holds_state(other)))


def lower_pair(forward: Call, backward: Call) -> tuple[Lowered, Lowered]:
    """Run both directions in one operator; masked GRUs with a hold column."""
    emit, mask = forward.emit, forward.mask
    cells = [forward.spec.cells[0], backward.spec.cells[0]]
    x = emit.op("Transpose", forward.x, perm=[1, 0, 2])
    if mask is not None:
        x = held_input(emit, forward.x, mask)
    states = [forward.cell_states()[0], backward.cell_states()[0]]
    run = run_cells(emit, cells, x, states, hold=mask is not None)
    how = f"{OPS[cells[0].kind]} bidirectional"
    halves = emit.nodes("Split", [run.y], 2, axis=1, num_outputs=2)
    split = [emit.nodes("Split", [s], 2, axis=0, num_outputs=2) for s in run.states]
    lowered = []
    for direction, call in enumerate((forward, backward)):
        squeezed = emit.op("Squeeze", halves[direction], emit.ints(1))
        y = emit.op("Transpose", squeezed, perm=[1, 0, 2])
        finals = [emit.op("Squeeze", s[direction], emit.ints(0)) for s in split]
        if mask is not None:
            lowered.append(finish_hold(call, y, finals[0], f"{how} with hold column"))
        else:
            lowered.append(Lowered(_ordered(call, y), finals[0], finals, how))
    return lowered[0], lowered[1]


def _ordered(call: Call, y: ir.Value) -> ir.Value:
    """The operator gives input order; a layer that wants processing order gets it."""
    if call.spec.go_backwards and not call.spec.input_order:
        return call.emit.flip(y, 1)
    return y
