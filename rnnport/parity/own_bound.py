"""A report held to the caller's own tolerance in place of the table's."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec

from rnnport.errors import UsageError
from rnnport.parity.figures import figure
from rnnport.parity.report import ParityReport
from rnnport.parity.tolerance import TOLERANCES
from rnnport.spec import Check

__all__ = ["held_to"]

# Laws of rnnport's own, which no tolerance against TensorFlow loosens or tightens.
_LAWS = frozenset(
    {
        "isolation",
        "determinism",
        "structure",
        "streaming",
        "round trip",
        "generation",
        "accuracy",
    }
)


def held_to(report: ParityReport, tolerance: float | None) -> ParityReport:
    """The same report, its comparisons with TensorFlow judged anew.

    A bound is scaled by tolerance over the provider's in TOLERANCES. Only errors are judged: a
    check with a note (nothing was compared, NaN, a constant output, an ill-conditioned model)
    keeps its verdict, and so do equal values and the laws between runs of one runtime.

    Args:
        report: what rnnport.verify gave.
        tolerance: times max(1, largest expected magnitude), as in TOLERANCES; None changes nothing.

    Raises:
        UsageError: a tolerance that is no positive number.
    """
    if tolerance is None:
        return report
    if not 0 < tolerance < math.inf:
        raise UsageError.of("tolerance", tolerance, "a positive number, 1e-5 say", "mend it")
    factor = tolerance / TOLERANCES[report.provider]
    return replace(report, checks=tuple(_judged(check, factor) for check in report.checks))


def _judged(check: Check, factor: float) -> Check:
    if check.kind in _LAWS or check.note or check.error is None:
        return check
    bound = check.bound * factor
    passed = check.error <= bound
    lost = check.passed and not passed
    note = f"passes at the table's bound, {figure(check.bound)}" if lost else ""
    return msgspec.structs.replace(check, bound=bound, passed=passed, note=note)
