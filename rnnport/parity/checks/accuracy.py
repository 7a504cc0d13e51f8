"""rnnport's and TensorFlow's distance from a run in float64, side by side (DESIGN.md, law 7)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.artifact.golden import GoldenCase
from rnnport.magnitude import magnitude
from rnnport.parity.facts import Accuracy
from rnnport.parity.tolerance import WORST_RATIO
from rnnport.spec import Check

__all__ = ["accuracies", "check_accuracy"]

Arrays = Mapping[str, NDArray[Any]]

# Half a unit in the last place of float32, near 1: nobody rounds better than that.
_FLOOR = 2.0**-24


def accuracies(
    golden: Sequence[GoldenCase],
    given: Sequence[tuple[Arrays, str]],
    outputs: Sequence[str],
    timed: Collection[str],
) -> list[Accuracy]:
    """One for every float output of every case whose truth is known.

    Args:
        golden: the cases.
        given: what the runtime gave for each; see run_golden.
        outputs: names of all outputs.
        timed: outputs whose axis 1 is time.
    """
    return [
        _accuracy(case, name, received[name], name in timed)
        for case, (received, _) in zip(golden, given, strict=True)
        for name in outputs
        if name in case.truth and name in received and _comparable(case, name, received[name])
    ]


def check_accuracy(
    found: Sequence[Accuracy], golden: Sequence[GoldenCase], tolerance: float
) -> list[Check]:
    """One row an output: as accurate as TensorFlow itself, over cases of shapes and masks.

    Those of scale and drift have rows of their own, in which the truth decides.

    The bound is WORST_RATIO times TensorFlow's own error, or a tenth of the tolerance where that is
    more: below it both are right to the last digits that anybody reads.

    Args:
        found: of one artifact on one runtime.
        golden: the cases they are of.
        tolerance: from TOLERANCES.
    """
    ordinary = {case.name for case in golden if case.kind in ("shapes", "masks")}
    checks = []
    for output in dict.fromkeys(a.output for a in found):
        own = [a for a in found if a.output == output and a.case in ordinary]
        if not own:
            continue
        bounds = [max(WORST_RATIO * a.tensorflow, tolerance / 10) for a in own]
        worst = max(range(len(own)), key=lambda i: own[i].error / bounds[i])
        chosen, bound = own[worst], bounds[worst]
        passed = bool(chosen.error <= bound)
        told = f"{chosen.ratio:.2g} times TensorFlow's own error" if not passed else ""
        checks.append(
            Check(
                name=f"against float64, {chosen.case}",
                output=output,
                error=chosen.error,
                bound=bound,
                passed=passed,
                note=told,
                kind="accuracy",
            )
        )
    return checks


def _comparable(case: GoldenCase, name: str, received: NDArray[Any]) -> bool:
    truth, expected = case.truth[name], case.outputs[name]
    if received.dtype.kind != "f" or not truth.size or truth.shape != received.shape:
        return False
    return bool(np.isfinite(truth).all() and np.isfinite(expected).all())


def _accuracy(case: GoldenCase, name: str, received: NDArray[Any], timed: bool) -> Accuracy:
    truth = case.truth[name].astype(np.float64)
    scale = magnitude(truth)
    ours = np.abs(received.astype(np.float64) - truth) / scale
    theirs = np.abs(case.outputs[name].astype(np.float64) - truth) / scale
    error, own = float(ours.max()), float(theirs.max())
    return Accuracy(
        case=case.name,
        output=name,
        truth=case.source,
        error=error,
        tensorflow=own,
        ratio=max(error, _FLOOR) / max(own, _FLOOR),
        steps=_steps(ours) if timed else [],
        tensorflow_steps=_steps(theirs) if timed else [],
    )


def _steps(off: NDArray[np.float64]) -> list[float]:
    """(T,): the largest value at every step."""
    axes = tuple(axis for axis in range(off.ndim) if axis != 1)
    return [float(f"{value:.3g}") for value in off.max(axis=axes)]
