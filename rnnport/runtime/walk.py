"""Walk: one token after another for every row, chosen by greedy search or by sampling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.decode_rows import DecodeRows
from rnnport.runtime.ending import Ending
from rnnport.runtime.scores import Scale

__all__ = ["ENDED", "Pick", "Tally", "walk"]

Array = NDArray[Any]
Ids = NDArray[np.int64]
Index = NDArray[np.intp]

ENDED = -1

# Rows that have ended are dropped when no more than this part is left: each drop copies what is
# left, and all of them together cost no more than copying everything a few times.
_LEFT = 0.75


class Pick(Protocol):
    """Chooses one id for each row."""

    def __call__(self, scores: Array, rows: Index, step: int) -> Index:
        """Choose.

        Args:
            scores: (R, V), as the decoder gave them; not to be changed.
            rows: which row of the beginning each one is, (R,).
            step: how many tokens there are.

        Returns:
            Ids (R,).
        """


class Tally:
    """Sums of the log probabilities of the tokens chosen.

    Attributes:
        sums: for every row of the beginning.
    """

    def __init__(self, rows: int) -> None:
        self.sums = np.zeros(rows)

    def add(self, scores: Array, ids: Index, rows: Index, scale: Scale) -> None:
        """Count the tokens of rows that go on: scores (R, V), ids (R,)."""
        chosen = scores[np.arange(len(ids)), ids]
        self.sums[rows] += scale.log(chosen) - scale.normaliser(scores)


def walk(
    decoder: DecodeRows,
    first: Array,
    pick: Pick,
    ending: Ending,
    scale: Scale,
    tally: Tally | None = None,
) -> Iterator[Ids]:
    """Choose, feed what was chosen, and so on until every row has ended.

    Args:
        decoder: its rows have been fed all but what is chosen here.
        first: what it gave last, (R, V).
        pick: chooses.
        ending: when a row has ended.
        scale: of the scores.
        tally: counts log probabilities, if wanted.

    Yields:
        Ids (R,), stops among them; ENDED for rows that ended before. A new array each.
    """
    scores, count = first, len(first)
    rows = np.arange(count)
    going = np.ones(count, bool)
    for step in range(ending.max_steps):
        ids = pick(scores, rows, step)
        if tally is not None:
            tally.add(scores[going], ids[going], rows[going], scale)
        told = np.full(count, ENDED, np.int64)
        told[rows] = np.where(going, ids, ENDED)
        yield told
        going &= ~ending.is_stop[ids]
        left = np.count_nonzero(going)
        if left == 0 or ending.last(step):
            return
        if left <= _LEFT * len(rows):
            kept = np.flatnonzero(going)
            decoder.keep(kept)
            rows, ids, going = rows[kept], ids[kept], going[kept]
        scores = decoder.step(ids)
