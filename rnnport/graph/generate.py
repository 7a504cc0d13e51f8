"""The whole greedy decode loop in one graph: encoder, decoder step, argmax, stop.

ONNX's Loop runs until every row has stopped or the most steps are taken; rows that have stopped
give −1 from then on. Axis letters: B batch, V vocabulary, N steps taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from rnnport.graph.emit import Emitter
from rnnport.spec import Form, Generate

__all__ = ["ENDED", "IDS", "greedy_graph"]

IDS = "ids"
ENDED = -1
_INT64, _BOOL = ir.DataType.INT64, ir.DataType.BOOL


@dataclass(frozen=True, eq=False)
class _Parts:
    encoder: ir.Model
    decoder: ir.Model
    form: Form
    wish: Generate


def greedy_graph(encoder: ir.Model, decoder: ir.Model, form: Form, wish: Generate) -> ir.Model:
    """Join both halves, lowered, around a Loop.

    Args:
        encoder: its inputs become the model's; taken apart here.
        decoder: taken apart here too.
        form: the decoder's form.
        wish: start, stop and the most steps.

    Returns:
        A model with one output, ids (B, N) int64: no start, no stop, −1 after a row's last token.
    """
    parts = _Parts(encoder, decoder, form, wish)
    graph = encoder.graph
    handed = {str(v.name): v for v in graph.outputs}
    graph.outputs.clear()
    _rename(decoder.graph)
    _share_weights(decoder.graph, graph)
    emit = Emitter(graph, prefix="generate/")
    batch = emit.size(graph.inputs[0], 0)
    states = _first_states(emit, parts, handed, batch)
    start = emit.op("Expand", emit.integer(wish.start), batch)
    open_rows = emit.op("Expand", emit.weight("generate_false", np.array(False)), batch)
    body = _body(parts, graph, handed)
    loop = emit.nodes(
        "Loop",
        [emit.integer(wish.max_steps), None, start, open_rows, *states],
        3 + len(states),
        body=body,
    )
    ids = emit.op("Transpose", loop[-1], perm=[1, 0])
    ids.name = IDS
    ids.type, ids.shape = ir.TensorType(_INT64), ir.Shape(["B", "N"])
    graph.outputs.append(ids)
    return encoder


def _rename(graph: ir.Graph) -> None:
    """Keep the decoder's names apart from the encoder's."""
    for value in graph.inputs:
        value.name = f"step/{value.name}"
    for node in graph.all_nodes():
        node.name = f"step/{node.name}"
        for value in node.outputs:
            value.name = f"step/{value.name}"


def _share_weights(source: ir.Graph, target: ir.Graph) -> None:
    """Initialisers of the body stand in the outer graph, those of one content once."""
    for value in list(source.initializers.values()):
        known = target.initializers.get(str(value.name))
        source.initializers.pop(str(value.name))
        if known is not None and _same(known, value):
            value.replace_all_uses_with(known)
            continue
        if known is not None:
            value.name = f"step/{value.name}"
        target.register_initializer(value)


def _same(one: ir.Value, other: ir.Value) -> bool:
    a, b = one.const_value, other.const_value
    if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.array_equal(a.numpy(), b.numpy()))


def _first_states(
    emit: Emitter, parts: _Parts, handed: Mapping[str, ir.Value], batch: ir.Value
) -> list[ir.Value]:
    states = []
    for state in parts.form.states:
        if state.start:
            states.append(handed[state.start])
            continue
        inner = emit.ints(*(int(size) for size in state.shape[1:]))
        zero = emit.weight(f"zero_{state.dtype}", np.zeros((), state.dtype))
        states.append(emit.op("Expand", zero, emit.op("Concat", batch, inner, axis=0)))
    return states


def _body(parts: _Parts, outer: ir.Graph, handed: Mapping[str, ir.Value]) -> ir.Graph:
    """One step: tokens (B,), ended (B,) and states in; the same and the tokens given out."""
    step, form, wish = parts.decoder.graph, parts.form, parts.wish
    by_name = {str(v.name).removeprefix("step/"): v for v in step.inputs}
    for name in form.fixed:
        by_name[name].replace_all_uses_with(handed[name])
    taken = [by_name[state.input] for state in form.states]
    (tokens_port,) = form.per_step
    tokens_in = by_name[tokens_port.name]
    outputs = list(step.outputs)
    step.outputs.clear()
    step.inputs.clear()
    number = ir.Value(name="step/number", type=ir.TensorType(_INT64), shape=ir.Shape([]))
    more = ir.Value(name="step/more", type=ir.TensorType(_BOOL), shape=ir.Shape([]))
    tokens = ir.Value(name="step/tokens", type=ir.TensorType(_INT64), shape=ir.Shape(["B"]))
    ended = ir.Value(name="step/ended", type=ir.TensorType(_BOOL), shape=ir.Shape(["B"]))
    first = next(iter(step), None)
    front = Emitter(step, before=first, weights=outer, prefix="step/front/")
    column = front.op("Unsqueeze", tokens, front.ints(1))
    kind = ir.DataType.from_numpy(np.dtype(tokens_port.dtype))
    tokens_in.replace_all_uses_with(front.op("Cast", column, to=kind.value))
    back = Emitter(step, weights=outer, prefix="step/back/")
    scores = outputs[0]
    if len(form.outputs[0].shape) == 3:
        scores = back.op("Squeeze", scores, back.ints(1))
    best = back.op("ArgMax", scores, axis=-1, keepdims=0)
    stops = [back.op("Equal", best, back.integer(stop)) for stop in wish.stops]
    stopped = stops[0]
    for other in stops[1:]:
        stopped = back.op("Or", stopped, other)
    over = back.op("Or", ended, stopped)
    given = back.op("Where", over, back.integer(ENDED), best)
    following = back.op("Where", over, back.integer(wish.start), best)
    left = back.op("Cast", back.op("Not", over), to=_INT64.value)
    count = back.op("ReduceSum", left, keepdims=0)
    going = back.op("Greater", count, back.integer(0))
    states = [back.op("Identity", v) for v in outputs[len(form.outputs) :]]
    step.inputs.extend([number, more, tokens, ended, *taken])
    _typed(going, _BOOL, [])
    _typed(following, _INT64, ["B"])
    _typed(over, _BOOL, ["B"])
    _typed(given, _INT64, ["B"])
    for value, state in zip(states, form.states, strict=True):
        _typed(value, ir.DataType.from_numpy(np.dtype(state.dtype)), state.shape)
    step.outputs.extend([going, following, over, *states, given])
    return step


def _typed(value: ir.Value, dtype: ir.DataType, shape: Sequence[int | str]) -> None:
    value.type, value.shape = ir.TensorType(dtype), ir.Shape(shape)
