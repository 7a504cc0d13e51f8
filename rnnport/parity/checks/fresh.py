"""The live model and the graph on inputs that neither has seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.errors import UsageError
from rnnport.parity.arbiter import Arbiter
from rnnport.parity.cases import Case, fresh_cases
from rnnport.parity.checks.precision import within_budget
from rnnport.parity.compare import Comparison, compare_all
from rnnport.parity.subject import Subject, attempt
from rnnport.spec import Check

__all__ = ["Reference", "check_fresh"]

Arrays = Mapping[str, NDArray[Any]]
Reference = Callable[[dict[str, NDArray[Any]]], Sequence[NDArray[Any]]]
"""Runs the original model: input name to array in, outputs in port order out."""


def check_fresh(subject: Subject, reference: Reference) -> list[Check]:
    """Run fresh inputs through both and compare; an exception in either is a failed check.

    Raises:
        UsageError: the reference gives another number of outputs: it is another model.
    """
    names = subject.runner.output_names

    def expect(inputs: Arrays) -> Arrays:
        return _named(names, reference(dict(inputs)))

    ordinary = [case for case in subject.golden if case.kind in ("shapes", "masks")]
    cases = fresh_cases(subject.model.inputs, ordinary, subject.seed)
    arbiter = Arbiter(subject)
    comparisons = []
    for case in cases:
        expected, trouble = attempt(expect, case.inputs)
        received, note = attempt(subject.runner.run_named, case.inputs)
        comparisons.append(
            Comparison(
                case.name,
                expected,
                received,
                trouble or note,
                "fresh",
                _asking(arbiter, case),
                arbiter.trust,
            )
        )
    if not subject.exact:
        return within_budget(comparisons, subject.golden, names, subject.manifest.precision)
    moves = subject.manifest.conditioning
    return compare_all("fresh", comparisons, names, subject.tolerance, moves, timed=subject.timed)


def _asking(arbiter: Arbiter, case: Case) -> Callable[[], Arrays]:
    return lambda: arbiter.truth(case.inputs)


def _named(names: Sequence[str], outputs: Sequence[NDArray[Any]]) -> Arrays:
    if len(outputs) != len(names):
        expected = f"{len(names)} outputs: {', '.join(names)}"
        remedy = "pass the model this artifact was exported from"
        raise UsageError.of("model", f"{len(outputs)} outputs", expected, remedy)
    return {name: np.asarray(output) for name, output in zip(names, outputs, strict=True)}
