"""Compare arrays, and judge whether the comparison proved anything."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rnnport.magnitude import magnitude
from rnnport.parity.tolerance import WORST_RATIO
from rnnport.parity.where import describe_start
from rnnport.spec import Check

__all__ = ["TRUSTED", "Comparison", "compare", "compare_all"]

Arrays = Mapping[str, NDArray[Any]]
TRUSTED = 1e-3
"""Where TensorFlow itself is farther from the truth, nothing can be said."""

_CONSTANT = "uninformative: the expected output is one constant value"


@dataclass(frozen=True)
class Comparison:
    """What was expected and received in one run.

    Attributes:
        name: of the run, e.g. "golden 3: left-padded, B=4 T=11".
        expected: output name to array; empty where the reference failed.
        received: output name to array; empty where the runtime failed.
        note: why arrays are missing, where they are.
        kind: of the checks made of it, one of CHECK_KINDS.
        truth: gives the outputs in float64, or nothing where they are not known; asked only where
            expected and received are too far apart.
        trust: how far expected may be from the truth, over max(1, its largest magnitude), for the
            truth to be asked.
        moves: outputs that rounding alone moves by more than the tolerance in this run.
    """

    name: str
    expected: Arrays
    received: Arrays
    note: str = ""
    kind: str = ""
    truth: Callable[[], Arrays] | None = None
    trust: float = TRUSTED
    moves: Mapping[str, float] = field(default_factory=dict)


def compare_all(
    group: str,
    comparisons: Iterable[Comparison],
    outputs: Sequence[str],
    tolerance: float,
    moves: Mapping[str, float] | None = None,
    *,
    timed: Collection[str] = (),
    constants: bool = False,
) -> list[Check]:
    """Compare every output in every run; an output proven nowhere fails.

    A difference beyond the bound still passes where received is at most WORST_RATIO times as far
    from the truth as expected is (law 7): then it is TensorFlow's own rounding that shows.

    An expected output that is constant (one element, say, or all zeros) would also be met by a
    graph that ignores its inputs. It passes in a run as long as the output's values differ
    somewhere, within another run or between runs.

    Args:
        group: names the failing check where there is nothing to compare, "golden" say.
        comparisons: the runs.
        outputs: every output that must be compared.
        tolerance: from TOLERANCES.
        moves: of outputs that rounding alone moves by more, by how much (conditioning.py).
        timed: outputs whose axis 1 is time.
        constants: whether an output may be one constant value throughout: where both sides are the
            same graph, say, and other checks ask whether it computes anything.
    """
    runs = list(comparisons)
    if not runs or not outputs:
        return [_failed(group, ", ".join(outputs), "nothing was compared")]
    moves = moves or {}
    checks = [
        _located(_judged(run, output, tolerance, moves.get(output, 0.0)), run, output in timed)
        for run in runs
        for output in outputs
    ]
    if constants:
        return checks
    constant = {name for name in outputs if _is_constant([run.expected.get(name) for run in runs])}
    return [_fail_as_constant(check) if check.output in constant else check for check in checks]


def compare(
    name: str, output: str, expected: NDArray[Any], received: NDArray[Any], tolerance: float
) -> Check:
    """Compare one output of one run.

    Floats must agree to tolerance × max(1, largest finite expected magnitude), with NaN and
    infinities at the same places; whole numbers and booleans must be equal.

    Args:
        name: of the run.
        output: the output's name.
        expected: any shape.
        received: the same shape and dtype, or the check fails.
        tolerance: from TOLERANCES.
    """
    if received.dtype != expected.dtype or received.shape != expected.shape:
        kinds = [f"{array.dtype} {array.shape}" for array in (received, expected)]
        return _failed(name, output, f"received {kinds[0]}, expected {kinds[1]}")
    if expected.size == 0:
        return _failed(name, output, "nothing was compared: the output is empty")
    if expected.dtype.kind != "f":
        return _compare_exact(name, output, expected, received)
    return _compare_floats(name, output, expected, received, tolerance)


def _judged(run: Comparison, output: str, tolerance: float, move: float) -> Check:
    check = msgspec.structs.replace(_check(run, output, tolerance), kind=run.kind)
    return _excused(_by_truth(check, run), run, max(move, run.moves.get(output, 0.0)))


def _located(check: Check, run: Comparison, timed: bool) -> Check:
    """Say where a difference starts."""
    expected, received = run.expected.get(check.output), run.received.get(check.output)
    if check.passed or expected is None or received is None or expected.shape != received.shape:
        return check
    start = describe_start(expected, received, check.bound, timed=timed)
    return msgspec.structs.replace(check, start=start)


def _by_truth(check: Check, run: Comparison) -> Check:
    if check.passed or check.error is None or check.note or not check.bound or run.truth is None:
        return check
    truth = run.truth().get(check.output)
    if truth is None or truth.shape != run.expected[check.output].shape:
        return check
    theirs, ours = (
        float(np.abs(side[check.output].astype(np.float64) - truth).max())
        for side in (run.expected, run.received)
    )
    bound = WORST_RATIO * theirs
    if not ours <= bound or theirs > run.trust * magnitude(truth):
        return check
    note = f"against float64, from which TensorFlow itself is {theirs:.1e} away"
    return msgspec.structs.replace(check, error=ours, bound=bound, passed=True, note=note)


def _check(run: Comparison, output: str, tolerance: float) -> Check:
    expected, received = run.expected.get(output), run.received.get(output)
    if expected is None or received is None:
        side = "expected" if expected is None else "received"
        return _failed(run.name, output, f"nothing was compared: {run.note or f'no {side} array'}")
    return compare(run.name, output, expected, received, tolerance)


def _excused(check: Check, run: Comparison, move: float) -> Check:
    """A difference no larger than what last bits of the weights make is none of the graph's."""
    if check.passed or check.error is None or check.note or not check.bound:
        return check
    expected = run.expected[check.output]
    bound = move * magnitude(expected)
    if check.error > bound:
        return check
    note = f"ill-conditioned: last bits of the weights move this output by {bound:.1e}"
    return msgspec.structs.replace(check, bound=bound, passed=True, note=note)


def _compare_exact(name: str, output: str, expected: NDArray[Any], received: NDArray[Any]) -> Check:
    differing = np.count_nonzero(expected != received)
    # As Python integers would be exact, but a float is enough to show how far off it is.
    error = float(np.abs(received.astype(np.float64) - expected.astype(np.float64)).max())
    note = f"{differing} of {expected.size} values differ" if differing else ""
    return Check(name=name, output=output, error=error, bound=0.0, passed=not differing, note=note)


def _compare_floats(
    name: str, output: str, expected: NDArray[Any], received: NDArray[Any], tolerance: float
) -> Check:
    e, r = expected.astype(np.float64), received.astype(np.float64)
    finite = np.isfinite(e)
    bound = tolerance * magnitude(e)
    both = finite & np.isfinite(r)
    error = float(np.abs(r[both] - e[both]).max()) if both.any() else None
    # Equal covers infinities of one sign; NaN equals nothing, not even itself.
    strange = ~both & ~((e == r) | (np.isnan(e) & np.isnan(r)))
    notes = [f"NaN or infinity differs at {strange.sum()} of {e.size} places"] * bool(strange.any())
    if error is None:
        notes.append("nothing was compared: no finite value")
    passed = not strange.any() and error is not None and error <= bound
    note = "; ".join(notes)
    return Check(name=name, output=output, error=error, bound=bound, passed=passed, note=note)


def _is_constant(arrays: Sequence[NDArray[Any] | None]) -> bool:
    """Whether all finite values, in all arrays, are the same one."""
    finite = [a[np.isfinite(a)] for a in arrays if a is not None]
    spans = [(a.min(), a.max()) for a in finite if a.size]
    return bool(spans) and min(low for low, _ in spans) == max(high for _, high in spans)


def _fail_as_constant(check: Check) -> Check:
    note = "; ".join(filter(None, [check.note, _CONSTANT]))
    return msgspec.structs.replace(check, passed=False, note=note)


def _failed(name: str, output: str, note: str) -> Check:
    return Check(name=name, output=output, error=None, bound=0.0, passed=False, note=note)
