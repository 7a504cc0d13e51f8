"""ParityReport: the verdict and every check behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from rnnport.spec import Check

__all__ = ["ParityReport"]


@dataclass(frozen=True)
class ParityReport:
    """What was compared and how it came out.

    Attributes:
        name: the model's name.
        provider: the provider that ran, "cpu" or "cuda".
        checks: one for each output of each run.
    """

    name: str
    provider: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed; comparing nothing is a failure."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def worst(self) -> Check | None:
        """The check that came nearest to its bound, or went furthest beyond."""
        measured = [check for check in self.checks if check.error is not None]
        return max(measured, key=_closeness, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: name, provider, passed, checks."""
        return {
            "name": self.name,
            "provider": self.provider,
            "passed": self.passed,
            "checks": [msgspec.to_builtins(check) for check in self.checks],
        }


def _closeness(check: Check) -> float:
    error = check.error or 0.0
    if check.bound == 0.0:
        return float("inf") if error else 0.0
    return error / check.bound
