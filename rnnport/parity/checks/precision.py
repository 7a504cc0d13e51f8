"""Artifacts in float16 or int8: held to a budget, not to equality with TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.artifact.golden import GoldenCase
from rnnport.parity.compare import Comparison
from rnnport.parity.paid import deviation, paid, paid_words, quadratic_mean, spread
from rnnport.parity.subject import Subject
from rnnport.parity.tolerance import BUDGETS
from rnnport.spec import Check, Paid

__all__ = ["budget_rows", "figures_of", "paid_rows", "within_budget"]

Arrays = Mapping[str, NDArray[Any]]
Given = Sequence[tuple[Arrays, str]]

_UNIT = "quadratic mean of the error over the output's spread"


def budget_rows(subject: Subject, given: Given) -> list[Check]:
    """Golden cases against TensorFlow's outputs, within the budget.

    Args:
        subject: in another precision than float32.
        given: what each golden case gives; see run_golden.
    """
    pairs = zip(subject.golden, given, strict=True)
    runs = [
        Comparison(f"golden {number}: {case.name}", case.outputs, received, note, case.kind)
        for number, (case, (received, note)) in enumerate(pairs, 1)
    ]
    names = [port.name for port in subject.model.outputs]
    return within_budget(runs, subject.golden, names, subject.manifest.precision)


def within_budget(
    runs: Iterable[Comparison], golden: Sequence[GoldenCase], outputs: Sequence[str], precision: str
) -> list[Check]:
    """One row for each output of each run: its quadratic mean error over the output's spread.

    The spread is that of the golden outputs, so that a mask that is ignored in one case shows in
    that case. Whole numbers: the part of them that differs.

    Args:
        runs: what was expected and received.
        golden: tells the spread of each output.
        outputs: names of all outputs.
        precision: of BUDGETS.
    """
    spreads = {output: spread(golden, output) for output in outputs}
    return [_judged(run, name, spreads[name], precision) for run in runs for name in outputs]


def figures_of(subject: Subject, given: Given) -> list[Paid]:
    """What the precision costs at every float output, over golden cases of shapes and masks."""
    arrays = [received for received, _ in given]
    names = [port.name for port in subject.model.outputs]
    return [one for name in names if (one := paid(subject.golden, arrays, name)) is not None]


def paid_rows(subject: Subject, given: Given) -> list[Check]:
    """One row an output, with the figures in words."""
    precision = subject.manifest.precision
    bound = BUDGETS[precision].ordinary
    return [
        Check(
            name=f"{precision} on golden inputs of shapes and masks",
            output=one.output,
            error=one.mean,
            bound=bound,
            passed=one.mean <= bound,
            note=paid_words(one),
            kind="precision",
        )
        for one in figures_of(subject, given)
    ]


def _judged(run: Comparison, output: str, scale: float, precision: str) -> Check:
    extreme = run.kind in ("scale", "drift")
    bound = BUDGETS[precision].extreme if extreme else BUDGETS[precision].ordinary
    expected, received = run.expected.get(output), run.received.get(output)
    trouble = _trouble(run, expected, received)
    error = None
    if not trouble and expected is not None and received is not None:
        # Inputs times 1000 may make outputs of another size.
        error = _error(expected, received, max(scale, deviation([expected]) if extreme else 0.0))
    return Check(
        name=run.name,
        output=output,
        error=error,
        bound=bound,
        passed=error is not None and error <= bound,
        note=trouble or _UNIT,
        kind=run.kind,
    )


def _trouble(run: Comparison, expected: NDArray[Any] | None, received: NDArray[Any] | None) -> str:
    if expected is None or received is None:
        side = "expected" if expected is None else "received"
        return f"nothing was compared: {run.note or f'no {side} array'}"
    kinds = [f"{array.dtype} {array.shape}" for array in (received, expected)]
    if kinds[0] != kinds[1]:
        return f"received {kinds[0]}, expected {kinds[1]}"
    if not expected.size:
        return "nothing was compared: the output is empty"
    strange = np.count_nonzero(np.isfinite(expected) != np.isfinite(received))
    return f"NaN or infinity differs at {strange} of {expected.size} places" * bool(strange)


def _error(expected: NDArray[Any], received: NDArray[Any], scale: float) -> float | None:
    if expected.dtype.kind != "f":
        return float(np.mean(expected != received))
    return quadratic_mean(expected, received) / scale if scale else None
