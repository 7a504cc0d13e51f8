"""The whole beam search in one graph, step for step what runtime/beam.py says.

Every source has K beams from the start, all but the first of them dead: log probability −inf. A
source whose search is over has dead beams only, so that nothing more is found for it while others
go on. Axis letters: B sources, K beams, R = B·K rows, V vocabulary, N steps.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from rnnport.graph.beam_step import Beams, Search, advance
from rnnport.graph.decode_loop import (
    DOUBLE,
    IDS,
    INT64,
    Carried,
    Joined,
    add_output,
    close_step,
    first_states,
    join,
    open_step,
    value,
)
from rnnport.graph.emit import Emitter
from rnnport.graph.trace_back import Hypothesis, better, no_hypothesis, trace_back
from rnnport.spec import Form, Generate
from rnnport.step_ports import last_size, scored_output

__all__ = ["SCORES", "beam_graph"]

SCORES = "scores"


def beam_graph(
    encoder: ir.Model, decoder: ir.Model, form: Form, wish: Generate, *, logits: bool
) -> ir.Model:
    """Join both halves, lowered, around a Loop.

    Args:
        encoder: its inputs become the model's; taken apart here.
        decoder: taken apart here too.
        form: the decoder's form.
        wish: what to search for.
        logits: whether the decoder gives logits, not probabilities.

    Returns:
        A model with outputs ids (B, N) int64: no start, no stop, −1 after a row's last token; and
        scores (B,) float64: the log probability of tokens and stop, over the length penalty.
    """
    vocabulary = last_size(scored_output(form, wish.output))
    assert vocabulary is not None
    search = Search(wish, vocabulary, logits)
    joined = join(encoder, decoder, form)
    emit = Emitter(joined.graph, prefix="generate/")
    last, beams, tokens = _loop(emit, joined, search)
    best = better(emit, last.best, _unfinished(emit, last.totals, beams, tokens, search))
    add_output(joined.graph, trace_back(emit, best, beams, tokens), IDS, INT64, ["B", "N"])
    scores = emit.op("Squeeze", best.score, emit.ints(1))
    add_output(joined.graph, scores, SCORES, DOUBLE, ["B"])
    return encoder


def _loop(emit: Emitter, joined: Joined, search: Search) -> tuple[Beams, ir.Value, ir.Value]:
    """Where the search ends; beams continued and their tokens in every step, (N, B, K) each."""
    batch = emit.size(joined.graph.inputs[0], 0)
    width = emit.integer(search.beams)
    rows = emit.op("Mul", batch, emit.ints(search.beams))
    numbers = emit.op("Range", emit.integer(0), emit.op("Squeeze", rows), emit.integer(1))
    source = emit.op("Div", numbers, width)

    def spread(one: ir.Value) -> ir.Value:
        return emit.op("Gather", one, source, axis=0)

    starts = [spread(state) for state in first_states(emit, joined, batch)]
    context = {name: spread(joined.handed[name]) for name in joined.form.fixed}
    step = open_step(joined, context, search.wish.output)
    before = Beams(
        value("step/totals", DOUBLE, ["B", search.beams]),
        value("step/finished", INT64, ["B", 1]),
        Hypothesis.inputs(),
    )
    after = advance(step, before, search)
    told = [after.beams, after.tokens]
    beams, tokens = (step.emit.op("Reshape", each, emit.ints(-1)) for each in told)
    continued = step.emit.op("Add", emit.op("Mul", source, width), beams)
    states = [step.emit.op("Gather", state, continued, axis=0) for state in step.states_out]
    begun = _begun(emit, emit.op("Concat", batch, emit.ints(1), axis=0), search)
    start = emit.op("Expand", emit.integer(search.wish.start), rows)
    carried = [
        *_carry(begun, before, after.state),
        Carried(start, step.tokens, tokens),
        *map(Carried, starts, step.states, states),
    ]
    last, all_told = close_step(emit, step, search.wish.max_steps, after.going, carried, told)
    return Beams(last[0], last[1], Hypothesis(*last[2:6])), all_told[0], all_told[1]


def _begun(emit: Emitter, shape: ir.Value, search: Search) -> Beams:
    """One hypothesis of no tokens a source; shape is (B, 1)."""
    alone = np.array([[0.0] + [-np.inf] * (search.beams - 1)])
    return Beams(
        emit.op("Expand", emit.weight("generate_alone", alone), shape),
        emit.op("Expand", emit.integer(0), shape),
        no_hypothesis(emit, shape),
    )


def _carry(first: Beams, before: Beams, after: Beams) -> Iterator[Carried]:
    yield Carried(first.totals, before.totals, after.totals)
    yield Carried(first.finished, before.finished, after.finished)
    yield from map(Carried, first.best.values, before.best.values, after.best.values)


def _unfinished(
    emit: Emitter, totals: ir.Value, beams: ir.Value, tokens: ir.Value, search: Search
) -> Hypothesis:
    """The best of those that live on after the last step, if there are any: the first of them."""
    last = search.wish.max_steps - 1
    zero, one, axis = emit.ints(0), emit.ints(1), emit.ints(1)
    divisor = emit.weight("generate_last_divisor", np.array(search.divisor(last)))
    score = emit.op("Div", emit.op("Slice", totals, zero, one, axis), divisor)
    ends = [emit.op("Gather", told, emit.integer(-1), axis=0) for told in (beams, tokens)]
    beam, token = (emit.op("Slice", end, zero, one, axis) for end in ends)
    return Hypothesis(score, emit.integer(last), beam, token)
