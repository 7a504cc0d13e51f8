"""The best continuations of a beam, found without sorting the whole vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.scores import Scale

__all__ = ["Candidates", "best_candidates"]

Array = NDArray[Any]
Floats = NDArray[np.float64]
Index = NDArray[np.intp]

# Scores are compared in their own dtype, a little below the floor; the few that pass are ranked.
_SLACK = 1e-5
# Blocks shorter than this save less than they let through.
_SHORT = 6
# Fewer are not found faster.
_BLOCKS = 128


@dataclass(frozen=True)
class Candidates:
    """Continuations, best first: by total, then lowest id, then lowest beam.

    Attributes:
        totals: log probabilities of the whole hypotheses, (A, M); -inf where there are fewer.
        beams: the beams they continue, (A, M).
        ids: by this token, (A, M).
    """

    totals: Floats
    beams: Index
    ids: Index

    def pick(self, columns: Index) -> Candidates:
        """Some of them: columns (A, K)."""
        rows = np.arange(len(columns))[:, None]
        return Candidates(
            self.totals[rows, columns], self.beams[rows, columns], self.ids[rows, columns]
        )

    def rows(self, index: Index) -> Candidates:
        """Those of some sources."""
        return Candidates(self.totals[index], self.beams[index], self.ids[index])


def best_candidates(scores: Array, base: Floats, scale: Scale, count: int) -> Candidates:
    """Rank the continuations of every source's beams.

    Args:
        scores: (A, K, V).
        base: a hypothesis' log probability so far less the scores' normaliser, (A, K); -inf for
            beams that are dead.
        scale: of the scores.
        count: M.
    """
    sources = len(scores)
    limit = _limit(_floor(scores, base, scale, count)[:, None], base, scale)
    near = np.flatnonzero(scores >= limit.astype(scores.dtype)[..., None])
    source, beam, token = np.unravel_index(near, scores.shape)
    totals = base[source, beam] + scale.log(scores[source, beam, token])
    order = _order(source, beam, token, totals)
    source, beam, token, totals = source[order], beam[order], token[order], totals[order]
    rank = np.arange(len(source)) - np.searchsorted(source, np.arange(sources))[source]
    found = Candidates(
        np.full((sources, count), -np.inf),
        np.zeros((sources, count), np.intp),
        np.zeros((sources, count), np.intp),
    )
    kept = (rank < count) & (totals > -np.inf)
    place = source[kept], rank[kept]
    found.totals[place], found.beams[place], found.ids[place] = (
        totals[kept],
        beam[kept],
        token[kept],
    )
    return found


def _order(source: Index, beam: Index, token: Index, totals: Floats) -> Index:
    order = np.lexsort((-totals, source))
    ranked = totals[order]
    if (ranked[1:] == ranked[:-1]).any():
        return np.lexsort((beam, token, -totals, source))
    return order


def _limit(floor: Floats, base: Floats, scale: Scale) -> Floats:
    """Scores (A, K) that surely bring a total to the floor, and a little less; inf where dead."""
    alive = base > -np.inf
    limit = scale.raw(floor - np.where(alive, base, 0))
    slack = np.maximum(1, np.abs(limit)) if scale.logits else limit
    return np.where(alive, limit - _SLACK * slack, np.inf)


def _floor(scores: Array, base: Floats, scale: Scale, count: int) -> Floats:
    """A total that at least count continuations reach, for each source; -inf where there are fewer.

    The highest of each block of a row is a continuation too, so the count-th best of those will do.
    """
    sources, beams, width = scores.shape
    # One beam may hold all the best: then its own blocks must be as many as are wanted, or short.
    wanted = max(4 * count // beams, min(max(2 * count, _BLOCKS), width // _SHORT))
    size = max(1, width // wanted)
    blocks = scores[..., : width // size * size].reshape(sources, beams, size, -1)
    tops = scores if size == 1 else blocks.max(axis=2)
    totals = (base[..., None] + scale.log(tops)).reshape(sources, -1)
    place = totals.shape[1] - count
    if place <= 0:
        return np.full(sources, -np.inf)
    return np.asarray(np.partition(totals, place, axis=1)[:, place])
