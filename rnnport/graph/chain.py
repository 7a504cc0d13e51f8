"""Cells stepped by a Python loop: a plain chain over consecutive steps becomes one layer.

A chain is a run of steps of one cell in which every step starts from the states of the one before
and no step's input depends on an earlier step's output. What feeds back, or hands an inner c to
somebody else, stays a sequence of single steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from rnnport.graph.emit import Emitter, stand_in
from rnnport.graph.skeleton import DOMAIN, OP, Skeleton, token_of
from rnnport.graph.steps import joined_steps, step_of
from rnnport.recurrent import RecurrentSpec

__all__ = ["fuse_chains"]

_SHORTEST = 2


def fuse_chains(skeleton: Skeleton) -> None:
    """Replace every plain chain of steps by one `Recurrent` node over a sequence, in place."""
    while True:
        chain = next((c for c in _chains(skeleton) if _plain(c)), None)
        if chain is None:
            return
        _fuse(skeleton, chain)


def _chains(skeleton: Skeleton) -> list[list[ir.Node]]:
    """Maximal runs of steps of one cell, each starting from the states of the one before."""
    steps = [n for n in skeleton.recurrent_nodes() if skeleton.spec(n).step]
    following = {}
    for node in steps:
        before = _predecessor(skeleton, node)
        if before is not None and id(before) not in following:
            following[id(before)] = node
    continued = {id(n) for n in following.values()}
    chains = []
    for node in steps:
        if id(node) in continued:
            continue
        chain = [node]
        while id(chain[-1]) in following:
            chain.append(following[id(chain[-1])])
        if len(chain) >= _SHORTEST:
            chains.append(chain)
    return chains


def _predecessor(skeleton: Skeleton, node: ir.Node) -> ir.Node | None:
    """The step whose states this one takes, all of them in order."""
    states = node.inputs[1:]
    before = states[0].producer() if states and states[0] is not None else None
    if before is None or (before.domain, before.op_type) != (DOMAIN, OP):
        return None
    spec = skeleton.spec(before)
    same = spec.step and spec.cells[0] is skeleton.spec(node).cells[0]
    return before if same and list(states) == list(before.outputs) else None


def _plain(chain: Sequence[ir.Node]) -> bool:
    members = {id(n) for n in chain}
    inner = (value for node in chain[:-1] for value in node.outputs[1:])
    if any(value.is_graph_output() for value in inner):
        return False
    for node in chain[:-1]:
        for value in node.outputs[1:]:  # c is carried inside the fused layer only
            if any(id(use.node) not in members for use in value.uses()):
                return False
    return not _reaches([n.inputs[0] for n in chain], members)


def _reaches(values: Sequence[ir.Value | None], members: set[int]) -> bool:
    """Whether any value depends on a node of the chain."""
    pending = [v.producer() for v in values if v is not None]
    visited: set[int] = set()
    while pending:
        node = pending.pop()
        if node is None or id(node) in visited:
            continue
        if id(node) in members:
            return True
        visited.add(id(node))
        pending.extend(v.producer() for v in node.inputs if v is not None)
    return False


def _fuse(skeleton: Skeleton, chain: Sequence[ir.Node]) -> None:
    first, final = chain[0], chain[-1]
    old = skeleton.spec(first)
    graph = final.graph
    assert isinstance(graph, ir.Graph)
    emit = Emitter(graph, before=first, weights=skeleton.model.graph, prefix=f"{old.name}/")
    sequence = _sequence(emit, [_given(n.inputs[0]) for n in chain])
    spec = RecurrentSpec(old.name, old.layer_kind, old.cells, has_state=True)
    token = f"chain of {token_of(first)}"
    skeleton.specs[token] = spec
    node = ir.node(
        OP,
        [sequence, *first.inputs[1:]],
        {"token": token},
        domain=DOMAIN,
        num_outputs=2 + spec.state_count,
    )
    emit.add(node)
    outputs, _, *states = node.outputs
    outputs.meta["traced_shape"] = [None, len(chain), old.cells[0].units]
    joined_steps(emit, [n.outputs[0] for n in chain], outputs)
    members = {id(n) for n in chain}
    read = [_read_outside(step.outputs[0], members) for step in chain]
    for index, step in enumerate(chain):
        if read[index] and any(read[:-1]):
            position = -1 if step is final else index
            at = emit.op("Gather", outputs, emit.integer(position), axis=1)
            stand_in(step.outputs[0], at)
    for value, state in zip(final.outputs, states, strict=True):
        stand_in(value, state)
    for step in reversed(chain):
        graph.remove(step, safe=True)
    for nested in (skeleton.model.graph, *skeleton.model.graph.subgraphs()):
        nested.sort()


def _read_outside(value: ir.Value, members: set[int]) -> bool:
    return value.is_graph_output() or any(id(use.node) not in members for use in value.uses())


def _given(value: ir.Value | None) -> ir.Value:
    assert value is not None
    return value


def _sequence(emit: Emitter, steps: Sequence[ir.Value]) -> ir.Value:
    """The steps' inputs (B, F) as one (B, T, F): a slice where they are one, stacked elsewhere."""
    found = [step_of(v) for v in steps]
    first = found[0]
    if first is not None:
        wanted = [(id(first.source), first.axis, first.index + k) for k in range(len(steps))]
        if wanted == [(id(s.source), s.axis, s.index) for s in found if s is not None]:
            source = first.source
            if (first.index, first.index + len(steps)) != (0, first.length):
                # Not a Slice, which would pass over steps that a short sequence lacks.
                positions = emit.ints(*range(first.index, first.index + len(steps)))
                source = emit.op("Gather", source, positions, axis=first.axis)
            return source if first.axis == 1 else emit.op("Transpose", source, perm=[1, 0, 2])
    lifted = [emit.op("Unsqueeze", v, emit.ints(1)) for v in steps]
    return emit.op("Concat", *lifted, axis=1)
