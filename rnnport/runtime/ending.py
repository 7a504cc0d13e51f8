"""Ending: when a sequence is over."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ending"]


@dataclass(frozen=True)
class Ending:
    """When a sequence is over.

    Attributes:
        stops: ids that end it; none for never.
        vocabulary: V.
        max_steps: the most tokens, the stop among them.
        min_steps: so many tokens come before a stop may.
    """

    stops: tuple[int, ...]
    vocabulary: int
    max_steps: int
    min_steps: int = 0

    @cached_property
    def is_stop(self) -> NDArray[np.bool_]:
        """Whether an id is a stop, (V,)."""
        table = np.zeros(self.vocabulary, bool)
        table[list(self.stops)] = True
        return table

    def bans(self, step: int) -> list[int]:
        """Ids that may not come as token number step, counted from 0."""
        return list(self.stops) if step < self.min_steps else []

    def last(self, step: int) -> bool:
        """Whether there is no token after this one."""
        return step + 1 >= self.max_steps
