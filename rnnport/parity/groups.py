"""The checks of a report by the question they answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rnnport.spec import CHECK_KINDS, Check

__all__ = ["QUESTIONS", "Group", "grouped", "nearest", "share"]

QUESTIONS: Mapping[str, str] = MappingProxyType(
    {
        "shapes": "Batches and lengths of other sizes give what TensorFlow gives.",
        "masks": "Masks of every pattern give what TensorFlow gives.",
        "scale": "Small and large inputs give what TensorFlow gives.",
        "drift": "The error stays small over long sequences.",
        "fresh": "Inputs that export never saw give what TensorFlow gives.",
        "axes": "Every axis that is claimed to be dynamic is.",
        "isolation": "No row of a batch depends on the others.",
        "determinism": "The same run gives the same again, on one thread or two.",
        "structure": "The graphs hold the operators that export wrote, and no loop.",
        "streaming": "The whole, any chunks and single steps agree.",
        "round trip": "Saving, loading and restoring change no bit.",
        "hand-off": "The encoder, then the decoder, give what the whole model gives.",
        "generation": "The decode loop gives the tokens of the loop in Python.",
        "accuracy": "Against float64, it errs about as little as TensorFlow does.",
        "precision": "What the smaller precision costs stays within its budget.",
    }
)
"""Kind of check to what holds if its checks pass."""

_UNNAMED = "other checks"


@dataclass(frozen=True)
class Group:
    """All checks of one kind, in the report's order.

    Attributes:
        kind: one of CHECK_KINDS, or "".
        checks: at least one.
    """

    kind: str
    checks: tuple[Check, ...]

    @property
    def title(self) -> str:
        """The kind, or what to call checks of none."""
        return self.kind or _UNNAMED

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def worst(self) -> Check | None:
        """The check to show for all of them: of those that failed, where any did."""
        return nearest(self.failures or self.checks)


def grouped(checks: Iterable[Check]) -> list[Group]:
    """Checks by kind, in the order of CHECK_KINDS; kinds it does not know follow, then none."""
    found: dict[str, list[Check]] = {}
    for check in checks:
        found.setdefault(check.kind, []).append(check)
    known = [kind for kind in CHECK_KINDS if kind in found]
    others = [kind for kind in found if kind and kind not in CHECK_KINDS]
    unnamed = [""] if "" in found else []
    return [Group(kind, tuple(found[kind])) for kind in (*known, *others, *unnamed)]


def share(check: Check) -> float | None:
    """Error over bound: beyond 1 the check fails. None where nothing was measured."""
    if check.error is None:
        return None
    if check.bound == 0.0:
        return math.inf if check.error else 0.0
    return check.error / check.bound


def nearest(checks: Iterable[Check]) -> Check | None:
    """The check nearest to its bound, or furthest beyond; None where nothing was measured."""
    measured = [check for check in checks if check.error is not None]
    return max(measured, key=lambda check: share(check) or 0.0, default=None)
