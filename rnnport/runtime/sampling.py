"""Sampling: tokens drawn as probable as the model says, within temperature, top-k and top-p."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.ending import Ending
from rnnport.runtime.scores import Scale
from rnnport.runtime.walk import Pick

__all__ = ["Chances", "Draws", "sampling"]

Array = NDArray[Any]
Floats = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Chances:
    """How scores become chances.

    Attributes:
        temperature: log probabilities are divided by it; below 1 the probable becomes likelier.
        top_k: only the k most probable tokens; of equals the lowest ids. None for all.
        top_p: only the fewest most probable tokens whose chances, after temperature and top_k, sum
            to at least p. None for all.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def weights(self, logs: Floats) -> Floats:
        """Chances (R, V) of log probabilities (R, V); rows need not sum to 1."""
        top = logs.max(axis=1, keepdims=True)
        weights: Floats = np.exp((logs - top) / self.temperature)
        if self.top_k is not None and self.top_k < logs.shape[1]:
            weights[~_highest(weights, self.top_k)] = 0
        if self.top_p is not None and self.top_p < 1:
            weights[~_nucleus(weights, self.top_p)] = 0
        return weights


class Draws:
    """Uniform numbers for each source, whichever others are decoded with it.

    Args:
        seed: the same seed gives the same numbers.
        source: the source's number.
    """

    _CHUNK = 64

    def __init__(self, seed: int, source: int) -> None:
        self._random = np.random.default_rng([seed, source])
        self._drawn = np.zeros(0)

    def at(self, step: int) -> float:
        """The number for a step; steps come in order."""
        if step % self._CHUNK == 0:
            self._drawn = self._random.random(self._CHUNK)
        return float(self._drawn[step % self._CHUNK])


def sampling(
    chances: Chances, scale: Scale, ending: Ending, draws: Sequence[Callable[[int], float]]
) -> Pick:
    """Draw an id: the first whose chances and those of all lower ids exceed a uniform number.

    Args:
        chances: how scores become chances.
        scale: of the scores.
        ending: bans stops at the beginning.
        draws: for each row of the beginning, step to a number in [0, 1).
    """

    def pick(scores: Array, rows: Index, step: int) -> Index:
        logs = scale.log(scores)
        logs[:, ending.bans(step)] = -np.inf
        heights = np.cumsum(chances.weights(logs), axis=1)
        uniform = np.array([draws[row](step) for row in rows])
        ids = (heights <= uniform[:, None] * heights[:, -1:]).sum(axis=1)
        # Rounding may lift the product to the last height.
        last = (heights < heights[:, -1:]).sum(axis=1)
        return np.asarray(np.minimum(ids, last))

    return pick


def _highest(weights: Floats, count: int) -> NDArray[np.bool_]:
    """Mark the count highest of every row; of equals the lowest ids."""
    width = weights.shape[1]
    floor = np.partition(weights, width - count, axis=1)[:, width - count, None]
    above, level = weights > floor, weights == floor
    room = count - above.sum(axis=1, keepdims=True)
    return np.asarray(above | (level & (np.cumsum(level, axis=1) <= room)))


def _nucleus(weights: Floats, part: float) -> NDArray[np.bool_]:
    """Mark the fewest highest of every row that sum to at least this part; the lowest of equals."""
    order = np.argsort(-weights, axis=1, kind="stable")
    ranked = np.take_along_axis(weights, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    marked = before < part * weights.sum(axis=1, keepdims=True)
    marks = np.zeros(weights.shape, bool)
    np.put_along_axis(marks, order, marked, axis=1)
    return marks
