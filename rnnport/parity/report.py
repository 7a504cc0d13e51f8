"""ParityReport: the verdict and every check behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import msgspec

from rnnport.parity.facts import Accuracy, FormFacts, Histogram, Lack
from rnnport.parity.groups import nearest
from rnnport.spec import Check, LayerReport

__all__ = ["ParityReport"]


@dataclass(frozen=True)
class ParityReport:
    """What was compared and how it came out.

    Attributes:
        name: the model's name.
        provider: the provider that ran, "cpu", "cuda", "openvino", "web" or "reference".
        checks: one for each output of each run.
        lacks: what keeps the provider from running the model; then there are no checks.
        accuracy: errors against float64 runs, rnnport's beside TensorFlow's.
        histograms: sizes of the differences from TensorFlow, by output.
        forms: of each form its file, size in bytes and operators.
        layers: how each recurrent layer was lowered.
        versions: of what made the artifact ("export") and of what runs here ("here").
        machine: what this ran on, e.g. {"processor": …, "system": …, "cores": "2"}.
        command: the command that does all this again.
        seconds: how long it took.
    """

    name: str
    provider: str
    checks: tuple[Check, ...]
    lacks: tuple[Lack, ...] = ()
    accuracy: tuple[Accuracy, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    forms: Mapping[str, FormFacts] = field(default_factory=dict)
    layers: tuple[LayerReport, ...] = ()
    versions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether every check passed; comparing nothing is a failure."""
        return bool(self.checks) and not self.lacks and all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def worst(self) -> Check | None:
        """The check that came nearest to its bound, or went furthest beyond."""
        return nearest(self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: every attribute, and passed."""
        facts = {f.name: getattr(self, f.name) for f in fields(self)}
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(facts))
        return {"name": self.name, "provider": self.provider, "passed": self.passed, **plain}
