"""One step of a beam search inside a graph: steps 2 to 7 of runtime/beam.py.

TopK puts the lower index first of equals, so candidates lie by token, then by beam. Sums are in
float64. Axis letters: B sources, K beams, R = B·K rows, V vocabulary, M candidates kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from rnnport.graph.decode_loop import DOUBLE, ENDED, INT64, Step, any_open
from rnnport.graph.emit import Emitter
from rnnport.graph.trace_back import Hypothesis, better
from rnnport.runtime.scores import length_divisor
from rnnport.spec import Generate

__all__ = ["Advanced", "Beams", "Search", "advance"]


@dataclass(frozen=True)
class Search:
    """What is searched for.

    Attributes:
        wish: as it was put.
        vocabulary: V.
        logits: whether scores are logits, not probabilities.
    """

    wish: Generate
    vocabulary: int
    logits: bool

    @property
    def beams(self) -> int:
        """K."""
        return self.wish.beam_width

    @property
    def kept(self) -> int:
        """M: among so many there are K that are no stops, if K there are."""
        return self.beams * min(1 + len(set(self.wish.stops)), self.vocabulary)

    def divisor(self, step: int) -> float:
        """Of a hypothesis that this step finishes."""
        return length_divisor(step + 1, self.wish.length_penalty)

    def reach(self, step: int) -> float:
        """The largest divisor of a hypothesis that a later step may finish."""
        return max(self.divisor(step + 1), self.divisor(self.wish.max_steps - 1))


@dataclass(frozen=True, eq=False)
class Beams:
    """Where a search stands.

    Attributes:
        totals: log probabilities, (B, K) float64, best first; −inf where dead, all of them where
            the search is over.
        finished: how many hypotheses are, (B, 1).
        best: of those.
    """

    totals: ir.Value
    finished: ir.Value
    best: Hypothesis


@dataclass(frozen=True, eq=False)
class Advanced:
    """What a step gives.

    Attributes:
        state: where the search stands now.
        beams: which beam each live one continues, (B, K).
        tokens: by which token, (B, K).
        going: whether the search of any source goes on.
    """

    state: Beams
    beams: ir.Value
    tokens: ir.Value
    going: ir.Value


@dataclass(frozen=True, eq=False)
class _Ranked:
    """Continuations, best first, (B, n) each: totals, −inf for none, and what continues what."""

    totals: ir.Value
    tokens: ir.Value
    beams: ir.Value

    def pick(self, emit: Emitter, places: ir.Value) -> Sequence[ir.Value]:
        """Tokens and beams at places (B, n)."""
        pair = (self.tokens, self.beams)
        return [emit.op("GatherElements", each, places, axis=1) for each in pair]


def advance(step: Step, before: Beams, search: Search) -> Advanced:
    """Take a step.

    Args:
        step: with scores (R, V).
        before: where the search stood.
        search: what is searched for.
    """
    emit = step.emit
    ranked = _rank(emit, _candidates(step, before.totals, search), search)
    stops = _stops(emit, ranked, search)
    first = emit.op("Slice", stops, emit.ints(0), emit.ints(search.beams), emit.ints(1))
    best = better(emit, before.best, _best_stop(step, ranked, first, search))
    count = emit.op("ReduceSum", emit.op("Cast", first, to=INT64.value), emit.ints(1), keepdims=1)
    finished = emit.op("Add", before.finished, count)
    others = emit.op("Where", stops, _dead(emit), ranked.totals)
    totals, places = _top(emit, others, search.beams)
    tokens, beams = ranked.pick(emit, places)
    over = _over(step, totals, finished, best, search)
    left = emit.op("Where", over, _dead(emit), totals)
    return Advanced(Beams(left, finished, best), beams, tokens, any_open(emit, over))


def _candidates(step: Step, totals: ir.Value, search: Search) -> ir.Value:
    """Log probabilities of all continuations, (R, V)."""
    emit = step.emit
    scores = emit.op("Cast", step.scores, to=DOUBLE.value)
    base = emit.op("Reshape", totals, emit.ints(-1, 1))
    if not search.logits:
        zero, one = (emit.weight(f"double_{n}", np.array(float(n))) for n in (0, 1))
        return emit.op("Add", base, emit.op("Log", emit.op("Clip", scores, zero, one)))
    top = emit.op("ReduceMax", scores, emit.ints(-1), keepdims=1)
    chances = emit.op("Exp", emit.op("Sub", scores, top))
    total = emit.op("ReduceSum", chances, emit.ints(-1), keepdims=1)
    normaliser = emit.op("Add", emit.op("Log", total), top)
    return emit.op("Add", emit.op("Sub", base, normaliser), scores)


def _rank(emit: Emitter, candidates: ir.Value, search: Search) -> _Ranked:
    """The best M of candidates (R, V)."""
    beams, words = search.beams, search.vocabulary
    apart = emit.op("Reshape", candidates, emit.ints(-1, beams, words))
    by_token = emit.op("Transpose", apart, perm=[0, 2, 1])
    flat = emit.op("Reshape", by_token, emit.ints(-1, words * beams))
    totals, places = _top(emit, flat, search.kept)
    width = emit.integer(beams)
    tokens, beam = (emit.op(op, places, width) for op in ("Div", "Mod"))
    return _Ranked(totals, tokens, beam)


def _stops(emit: Emitter, ranked: _Ranked, search: Search) -> ir.Value:
    """Which continuations end a hypothesis, (B, M)."""
    table = np.isin(np.arange(search.vocabulary), search.wish.stops)
    is_stop = emit.op("Gather", emit.weight("generate_stops", table), ranked.tokens, axis=0)
    return emit.op("And", is_stop, emit.op("Greater", ranked.totals, _dead(emit)))


def _best_stop(step: Step, ranked: _Ranked, stops: ir.Value, search: Search) -> Hypothesis:
    """The best of what this step finishes; stops (B, K) are the finished ones of the first K."""
    emit = step.emit
    first = emit.op("Slice", ranked.totals, emit.ints(0), emit.ints(search.beams), emit.ints(1))
    divisor = _by_step(step, "divisors", [search.divisor(n) for n in _steps(search)])
    scores = emit.op("Where", stops, emit.op("Div", first, divisor), _dead(emit))
    place = emit.op("ArgMax", scores, axis=1, keepdims=1)
    score = emit.op("GatherElements", scores, place, axis=1)
    _, beam = ranked.pick(emit, place)
    return Hypothesis(score, step.number, beam, emit.integer(ENDED))


def _over(
    step: Step, totals: ir.Value, finished: ir.Value, best: Hypothesis, search: Search
) -> ir.Value:
    """Whether a search is over or could find nothing better, (B, 1); never after the last step."""
    emit = step.emit
    reach = _by_step(step, "reaches", [search.reach(n) for n in _steps(search)])
    top = emit.op("Slice", totals, emit.ints(0), emit.ints(1), emit.ints(1))
    hopeless = emit.op("LessOrEqual", emit.op("Div", top, reach), best.score)
    full = emit.op("GreaterOrEqual", finished, emit.integer(search.beams))
    more = emit.op("Less", step.number, emit.integer(search.wish.max_steps - 1))
    return emit.op("And", emit.op("Or", full, hopeless), more)


def _top(emit: Emitter, values: ir.Value, count: int) -> Sequence[ir.Value]:
    return emit.nodes("TopK", [values, emit.ints(count)], 2, axis=1)


def _by_step(step: Step, name: str, numbers: Sequence[float]) -> ir.Value:
    """The number of this step, from a table."""
    table = step.emit.weight(f"generate_{name}", np.array(numbers))
    return step.emit.op("Gather", table, step.number, axis=0)


def _steps(search: Search) -> range:
    return range(search.wish.max_steps)


def _dead(emit: Emitter) -> ir.Value:
    return emit.weight("generate_dead", np.array(-np.inf))
