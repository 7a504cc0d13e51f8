"""Beam search, written so that another implementation gives the same tokens.

For each source by itself, with K beams, stop ids E, N steps at most and N0 at least:

1.  There is one hypothesis, of no tokens, its log probability 0; the decoder has been fed the start
    (or the prompt). t = 0.
2.  Every live hypothesis k, of log probability L[k], gives V candidates (k, v), of log probability
    L[k] - Z[k] + s[k, v]: s are the decoder's scores after the hypothesis' last token, Z their
    normaliser (scores.Scale). Where t < N0, those with v in E are left out; Z stays.
3.  The candidates are ranked: the highest log probability first; of equals the lowest v first, then
    the lowest k. Those of log probability -inf are left out.
4.  Those with v in E among the first K of this ranking are finished hypotheses.
5.  The first K candidates with v not in E, wherever they are ranked, are the live hypotheses from
    here on, numbered in this order. There may be fewer than K.
6.  t = t + 1. Where t = N, the live hypotheses are finished too, in their order. The search is over
    then, or when at least K hypotheses are finished, or when none is live.
7.  Else the decoder is fed each live hypothesis' last token, its states taken from the hypothesis
    that it continues; go to 2.
8.  A finished hypothesis of n tokens, the stop counted, scores its log probability divided by
    ((5 + n) / 6) ** alpha. The highest score is the result; of equals the one finished first, by
    step, then by the rankings of steps 4 and 6.

All sums are in float64. K = 1 is greedy search. A search that can no longer find a better result
ends earlier, which changes none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.errors import InputError
from rnnport.runtime.candidates import Candidates, best_candidates
from rnnport.runtime.decode_rows import DecodeRows
from rnnport.runtime.ending import Ending
from rnnport.runtime.hypotheses import Book, Hypothesis
from rnnport.runtime.scores import Scale, length_divisor

__all__ = ["Beam", "beam_search"]

Array = NDArray[Any]
Index = NDArray[np.intp]

# As in walk: sources that are over are dropped when no more than this part is left.
_LEFT = 0.75


@dataclass(frozen=True)
class Beam:
    """What to search with.

    Attributes:
        width: K.
        alpha: of the length penalty.
        best: how many results are wanted.
    """

    width: int
    alpha: float
    best: int


def beam_search(
    decoder: DecodeRows, first: Array, beam: Beam, scale: Scale, ending: Ending
) -> list[list[Hypothesis]]:
    """Search for every source; see above.

    Args:
        decoder: one row for each source, fed all but what is searched for.
        first: what it gave last, (B, V); it may be overwritten.
        beam: what to search with.
        scale: of the scores.
        ending: when a hypothesis is finished.

    Returns:
        For each source its best hypotheses, best first; fewer than wanted where there are fewer.

    Raises:
        InputError: scores that leave nothing to choose from.
    """
    book = Book(len(first), beam.best)
    sources = np.arange(len(first))
    totals = np.zeros((len(first), 1))
    scores = first[:, None]
    count = beam.width * (1 + len(ending.stops))
    for step in range(ending.max_steps):
        base = totals - scale.normaliser(scores)
        scores[..., ending.bans(step)] = -np.inf
        found = best_candidates(scores, base, scale, count)
        live = _advance(book, sources, found, beam, ending, step)
        over = _over(book, sources, live, beam, ending, step)
        if over.all():
            break
        live.totals[over] = -np.inf
        sources, live = _go_on(decoder, sources, live, over, scores.shape[1])
        totals = live.totals
        scores = decoder.step(live.ids.ravel()).reshape(*live.ids.shape, -1)
    results = [book.results(source) for source in range(len(first))]
    if not all(results):
        raise _nothing_left(step)
    return results


def _advance(
    book: Book, sources: Index, found: Candidates, beam: Beam, ending: Ending, step: int
) -> Candidates:
    """Steps 4 to 6: what is finished goes into the book; what is live comes back."""
    alive = found.totals > -np.inf
    stops = ending.is_stop[found.ids] & alive
    divisor = length_divisor(step + 1, beam.alpha)
    for a, m in _places(stops[:, : beam.width]):
        score = found.totals[a, m] / divisor
        book.finish(sources[a], score, step, found.beams[a, m], found.ids[a, m])
    live = found.pick(np.argsort(stops, axis=1, kind="stable")[:, : beam.width])
    book.extend(sources, live.beams, live.ids)
    if ending.last(step):
        for a, m in _places(live.totals > -np.inf):
            score = live.totals[a, m] / divisor
            book.finish(sources[a], score, step, live.beams[a, m], live.ids[a, m])
    return live


def _over(
    book: Book, sources: Index, live: Candidates, beam: Beam, ending: Ending, step: int
) -> NDArray[np.bool_]:
    """Whether the search is over, or could find nothing better, for each source."""
    if ending.last(step):
        return np.ones(len(sources), bool)
    # A log probability only falls, so this is the best score that can still come.
    lengths = (step + 2, ending.max_steps)
    reach = live.totals.max(axis=1) / max(length_divisor(n, beam.alpha) for n in lengths)
    full = book.finished[sources] >= beam.width
    return np.asarray(full | (reach <= book.worst[sources]), bool)


def _go_on(
    decoder: DecodeRows, sources: Index, live: Candidates, over: NDArray[np.bool_], beams: int
) -> tuple[Index, Candidates]:
    """Give every live hypothesis the states of the one it continues.

    Args:
        decoder: beams rows for each source.
        sources: which are in it, (A,).
        live: (A, K) each.
        over: whose search is over.
        beams: how many hypotheses there were.
    """
    rows = np.arange(len(sources))[:, None] * beams + live.beams
    left = np.flatnonzero(~over)
    if len(left) <= _LEFT * len(sources):
        decoder.keep(rows[left].ravel())
        return sources[left], live.rows(left)
    if rows.size != len(decoder):
        decoder.keep(rows.ravel())
    else:
        decoder.reorder(rows.ravel())
    return sources, live


def _nothing_left(step: int) -> InputError:
    received = "NaN, or no chance, for every token"
    remedy = "look for NaN in the source, or in the model's weights"
    return InputError.of(f"scores, up to step {step + 1}", received, "numbers", remedy)


def _places(marks: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    yield from ((int(a), int(m)) for a, m in np.argwhere(marks))
