"""A report back from its plain data, as to_dict() or a JSON file holds it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from rnnport.parity.report import ParityReport

__all__ = ["read_report"]


def read_report(facts: Mapping[str, Any]) -> ParityReport:
    """The report that to_dict() gave these facts of.

    JSON has no infinity: numbers that were not finite are null there, and infinite here.

    Args:
        facts: what to_dict() gives.

    Raises:
        msgspec.ValidationError: they are not such facts.
    """
    plain = dict(facts)
    if "checks" in plain:
        plain["checks"] = [_finite(check, "bound") for check in plain["checks"]]
    if "accuracy" in plain:
        accuracy = [_finite(one, "error", "tensorflow", "ratio") for one in plain["accuracy"]]
        plain["accuracy"] = [_finite_steps(one) for one in accuracy]
    return msgspec.convert(plain, ParityReport, str_keys=True)


def _finite(struct: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {**struct, **{name: math.inf for name in names if struct.get(name, 0) is None}}


def _finite_steps(one: Mapping[str, Any]) -> dict[str, Any]:
    lists = {name: one.get(name, []) for name in ("steps", "tensorflow_steps")}
    return {
        **one,
        **{name: [math.inf if e is None else e for e in steps] for name, steps in lists.items()},
    }
