"""Scores of a decoder, probabilities or logits, as log probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.errors import InputError

__all__ = ["Scale", "length_divisor"]

Array = NDArray[Any]
Floats = NDArray[np.float64]

_SUM_BOUND = 1e-3


@dataclass(frozen=True)
class Scale:
    """How a row of scores tells log probabilities.

    A score s has the log probability log(sum(exp(row))) less than s where it is a logit, log(s)
    where it is a probability; a probability above 1 counts as 1. All of it is in float64, as in
    generate.onnx: two float32 exp differ by so much that beams of nearly one chance change places.

    Attributes:
        logits: logits, not probabilities.
    """

    logits: bool

    @classmethod
    def of(cls, scores: Array, logits: bool | None) -> Scale:
        """Decide what scores (R, V) of a first step are.

        Args:
            scores: they are probabilities where none is negative and every row sums to 1.
            logits: the user's word, or None.

        Raises:
            InputError: scores that are no numbers.
        """
        if np.isnan(scores).any():
            expected = "numbers"
            remedy = "look for NaN in the source, or in the model's weights"
            raise InputError.of("scores of the first step", "NaN", expected, remedy)
        if logits is not None:
            return cls(logits)
        sums = scores.sum(axis=1, dtype=np.float64)
        return cls(not (scores.min() >= 0 and np.allclose(sums, 1, rtol=0, atol=_SUM_BOUND)))

    def normaliser(self, scores: Array) -> Floats:
        """What log takes too much, for every row: scores (…, V) to (…)."""
        if not self.logits:
            return np.zeros(scores.shape[:-1])
        top = scores.max(axis=-1, keepdims=True)
        shifted = np.subtract(scores, top, dtype=np.float64)
        sums = np.exp(shifted, out=shifted).sum(axis=-1)
        return np.asarray(np.log(sums) + top[..., 0])

    def log(self, scores: Array) -> Floats:
        """Log probabilities of single scores, but for the normaliser of their rows."""
        if self.logits:
            return scores.astype(np.float64)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.clip(scores.astype(np.float64), 0, 1)))

    def raw(self, logs: Floats) -> Floats:
        """The inverse of log."""
        return logs if self.logits else np.exp(np.minimum(logs, 0))


def length_divisor(length: int, alpha: float) -> float:
    """GNMT's length penalty, by which a hypothesis' log probability is divided.

    ((5 + length) / 6) ** alpha: Wu et al. 2016, "Google's Neural Machine Translation System",
    equation 14. length counts the stop.
    """
    return float(((5 + length) / 6) ** alpha)
