"""Golden inputs against golden outputs: shapes, masks, scale, drift. No TensorFlow needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from rnnport.artifact.golden import THE_GRAPH, GoldenCase
from rnnport.parity.compare import TRUSTED, Comparison, compare_all
from rnnport.parity.subject import Run, attempt
from rnnport.parity.tolerance import WORST_RATIO
from rnnport.spec import Check

__all__ = ["check_golden", "compare_golden", "run_golden"]

Arrays = Mapping[str, NDArray[Any]]

# How far TensorFlow may be from a truth that the graph itself tells, unproven.
_LITTLE = 1e-4


def check_golden(
    golden: Sequence[GoldenCase],
    run: Run,
    outputs: Sequence[str],
    tolerance: float,
    moves: Mapping[str, float] | None = None,
    timed: Collection[str] = (),
) -> list[Check]:
    """Run the golden inputs and compare; an exception in run is a failed check.

    Args:
        golden: cases with TensorFlow's outputs.
        run: input name to array in, output name to array out.
        outputs: names of all outputs.
        tolerance: from TOLERANCES.
        moves: as in compare_all.
        timed: outputs whose axis 1 is time.
    """
    return compare_golden(golden, run_golden(golden, run), outputs, tolerance, moves, timed)


def run_golden(golden: Sequence[GoldenCase], run: Run) -> list[tuple[Arrays, str]]:
    """What each case gives, and why where it gives nothing."""
    return [attempt(run, case.inputs) for case in golden]


def compare_golden(
    golden: Sequence[GoldenCase],
    given: Sequence[tuple[Arrays, str]],
    outputs: Sequence[str],
    tolerance: float,
    moves: Mapping[str, float] | None = None,
    timed: Collection[str] = (),
) -> list[Check]:
    """Compare what run_golden gave."""
    comparisons = [
        _against(case, f"golden {number}: {case.name}", received, note)
        for number, (case, (received, note)) in enumerate(zip(golden, given, strict=True), 1)
    ]
    return compare_all("golden", comparisons, outputs, tolerance, moves, timed=timed)


def _against(case: GoldenCase, name: str, received: Arrays, note: str) -> Comparison:
    # The graph may only speak for itself where little depends on it.
    trust = _LITTLE if case.source == THE_GRAPH else TRUSTED
    return Comparison(
        name,
        case.outputs,
        received,
        note,
        case.kind,
        lambda: case.truth,
        trust,
        # Six nudges of the weights are a sample, sums of products round too, and two runs differ by
        # the roundings of both: the float64 run of such cases is up to twice the move away.
        {name: WORST_RATIO * move for name, move in case.moves.items()},
    )
