"""Hypotheses of a beam search: tokens with pointers back, and the best that are finished."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Book", "Hypothesis"]

Index = NDArray[np.intp]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Hypothesis:
    """A finished hypothesis.

    Attributes:
        score: by which hypotheses are compared.
        ids: its tokens, the stop among them, (n,).
    """

    score: float
    ids: Ids


@dataclass(frozen=True)
class _End:
    score: float
    step: int
    beam: int
    token: int


class Book:
    """What a search has found.

    Args:
        sources: how many.
        best: how many results are wanted for each.

    Attributes:
        finished: how many hypotheses are finished, for each source.
        worst: the score of the last of the wanted results; -inf while there are fewer.
    """

    def __init__(self, sources: int, best: int) -> None:
        self.finished = np.zeros(sources, np.intp)
        self.worst = np.full(sources, -np.inf)
        self._best = best
        self._ends: list[list[_End]] = [[] for _ in range(sources)]
        self._steps: list[tuple[Index, Index, Index]] = []

    def extend(self, sources: Index, beams: Index, ids: Index) -> None:
        """Note a step of all live hypotheses: which they continue and by what, (A, K) each."""
        self._steps.append((sources, beams, ids))

    def finish(self, source: int, score: float, step: int, beam: int, token: int) -> None:
        """Note that hypothesis beam of this step is finished by a token."""
        ends = self._ends[source]
        ends.append(_End(float(score), step, int(beam), int(token)))
        # Stable: of equals the first stays first.
        ends.sort(key=lambda end: -end.score)
        del ends[self._best :]
        self.finished[source] += 1
        if len(ends) == self._best:
            self.worst[source] = ends[-1].score

    def results(self, source: int) -> list[Hypothesis]:
        """The best hypotheses of a source, best first."""
        return [Hypothesis(end.score, self._tokens(source, end)) for end in self._ends[source]]

    def _tokens(self, source: int, end: _End) -> Ids:
        """Follow the pointers back."""
        tokens, beam = [end.token], end.beam
        for sources, beams, ids in reversed(self._steps[: end.step]):
            row = source if len(sources) == len(self._ends) else int(sources.searchsorted(source))
            tokens.append(ids.item(row, beam))
            beam = beams.item(row, beam)
        return np.array(tokens[::-1], np.int64)
