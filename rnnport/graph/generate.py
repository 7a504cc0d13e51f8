"""The whole greedy decode loop in one graph: encoder, decoder step, argmax, stop.

ONNX's Loop runs until every row has stopped or the most steps are taken; rows that have stopped
give −1 from then on. Axis letters: B batch, V vocabulary, N steps taken.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from rnnport.graph.decode_loop import (
    BOOL,
    ENDED,
    IDS,
    INT64,
    Carried,
    Step,
    add_output,
    any_open,
    close_step,
    first_states,
    join,
    open_step,
    value,
)
from rnnport.graph.emit import Emitter
from rnnport.spec import Form, Generate

__all__ = ["greedy_graph"]


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
    joined = join(encoder, decoder, form)
    graph = joined.graph
    emit = Emitter(graph, prefix="generate/")
    batch = emit.size(graph.inputs[0], 0)
    start = emit.op("Expand", emit.integer(wish.start), batch)
    none_over = emit.op("Expand", emit.weight("generate_false", np.array(False)), batch)
    firsts = first_states(emit, joined, batch)
    step = open_step(joined, joined.handed, wish.output)
    ended = value("step/ended", BOOL, ["R"])
    best = step.emit.op("ArgMax", step.scores, axis=-1, keepdims=0)
    over = step.emit.op("Or", ended, _stopped(step, best, wish))
    given = step.emit.op("Where", over, step.emit.integer(ENDED), best)
    # A row that is over may be fed anything: nobody reads what comes of it.
    carried = [Carried(start, step.tokens, best), Carried(none_over, ended, over)]
    states = zip(firsts, step.states, step.states_out, strict=True)
    carried += [Carried(*each) for each in states]
    _, (told,) = close_step(emit, step, wish.max_steps, any_open(step.emit, over), carried, [given])
    ids = emit.op("Transpose", told, perm=[1, 0])
    add_output(graph, ids, IDS, INT64, ["B", "N"])
    return encoder


def _stopped(step: Step, best: ir.Value, wish: Generate) -> ir.Value:
    emit = step.emit
    first, *others = (emit.op("Equal", best, emit.integer(stop)) for stop in wish.stops)
    for other in others:
        first = emit.op("Or", first, other)
    return first
