"""Greedy search: the most probable token, step after step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.decode_rows import DecodeRows
from rnnport.runtime.ending import Ending
from rnnport.runtime.walk import Pick

__all__ = ["greedy", "greedy_alone"]

Array = NDArray[Any]
Index = NDArray[np.intp]


def greedy(ending: Ending) -> Pick:
    """Choose the id of the highest score; of several, the lowest id."""

    def pick(scores: Array, rows: Index, step: int) -> Index:
        if bans := ending.bans(step):
            scores = scores.copy()
            scores[:, bans] = -np.inf
        return np.asarray(scores.argmax(axis=1))

    return pick


def greedy_alone(decoder: DecodeRows, first: Array, ending: Ending) -> Iterator[NDArray[np.int64]]:
    """What walk(…, greedy(ending)) yields for a single row, at less cost a step.

    Args:
        decoder: of one row.
        first: (1, V).
        ending: when the row has ended.
    """
    scores = first[0]
    ids = np.zeros(1, np.int64)
    for step in range(ending.max_steps):
        if bans := ending.bans(step):
            scores = scores.copy()
            scores[bans] = -np.inf
        token = int(scores.argmax())
        ids[0] = token
        yield ids.copy()
        if token in ending.stops or ending.last(step):
            return
        scores = decoder.step(ids)[0]
