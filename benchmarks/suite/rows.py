"""One row: everybody's outputs are compared, then everybody is timed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnport.cli.quiet import silent_stderr
from rnnport.runtime.neighbours import Neighbours
from suite.field import Field, reason
from suite.measure import Limits, measure
from suite.peers.base import Run
from suite.peers.registry import FLOORS, OURS, PEERS, PORTABLE, REFERENCE
from suite.workloads import Workload

__all__ = ["TOLERANCE", "Unequal", "apart", "flat", "run_row"]

TOLERANCE = 1e-4
_FEW = frozenset(peer.name for peer in PEERS if peer.few)
_OWN = {OURS, PORTABLE}
_UNCOUNTED = 2


class Unequal(Exception):
    """rnnport itself gives other outputs than TensorFlow."""


def run_row(
    work: Workload, field: Field, limits: Limits, guests: Neighbours | None = None
) -> dict[str, Any]:
    """The record of one workload.

    Raises:
        Unequal: rnnport's outputs differ; a peer whose outputs differ is left out, and why.
    """
    contenders, absent = _bound(work, field)
    errors, firsts = _compare(contenders, absent)
    with silent_stderr():
        _settle(contenders)
        found = measure(contenders, _FEW, limits, guests, ours=OURS, firsts=firsts)
    times = {
        name: [*(round(1e6 * t, 2) for t in (s.median, s.low, s.high)), s.calls]
        for name, s in found.samples.items()
    }
    return {
        **describe(work),
        "us": times,
        "errors": errors,
        "absent": absent,
        "rounds": found.rounds,
        "others_share": round(found.others_share, 3),
        "slowdown": round(found.slowdown, 3),
    }


def describe(work: Workload) -> dict[str, Any]:
    """What the row is about."""
    model = work.model
    return {
        "row": work.key,
        "family": model.family,
        "kind": model.kind,
        "title": model.title,
        "features": model.features,
        "units": model.units,
        "depth": model.depth,
        "batch": work.batch,
        "time": work.time,
        "mask": work.mask,
        "flops": work.flops,
    }


def _bound(work: Workload, field: Field) -> tuple[dict[str, Run], dict[str, str]]:
    contenders, absent = {}, dict(field.absent)
    for name, bind in field.bind.items():
        try:
            contenders[name] = bind(work)
        except Exception as error:
            if name in _OWN:
                raise
            absent[name] = reason(error)
    return contenders, absent


def _compare(
    contenders: dict[str, Run], absent: dict[str, str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Errors over max(1, the largest magnitude), and seconds of the first calls, by contender.

    Takes out whoever differs.
    """
    started = time.perf_counter()
    expected = flat(contenders[REFERENCE]())
    firsts = {REFERENCE: time.perf_counter() - started}
    if not all(y.size == 1 or np.ptp(y) > 0 for y in expected):
        raise Unequal("the expected outputs are constant, and prove nothing")
    errors: dict[str, float] = {}
    for name in [name for name in contenders if name != REFERENCE]:
        started = time.perf_counter()
        why, difference = _one_error(contenders[name], expected, floor=name in FLOORS)
        firsts[name] = time.perf_counter() - started
        if difference is not None:
            errors[name] = float(f"{difference:.2g}")
        if not why:
            continue
        if name in _OWN:
            raise Unequal(f"{name}: {why}")
        del contenders[name]
        absent[name] = why
    return errors, firsts


def _settle(contenders: Mapping[str, Run]) -> None:
    """Two calls each that do not count: whoever keeps memory for the next run has got it then."""
    for run in contenders.values():
        for _ in range(_UNCOUNTED):
            run()


def _one_error(run: Run, expected: list[Any], *, floor: bool) -> tuple[str, float | None]:
    """Why a contender cannot take part, or ""; and its error."""
    try:
        with silent_stderr():
            result = run()
    except Exception as error:
        return reason(error), None
    if floor:
        return "", None
    difference = apart(flat(result), expected)
    why = "" if difference <= TOLERANCE else f"gives other outputs ({difference:.1e})"
    return why, difference


def apart(received: list[Any], expected: list[Any]) -> float:
    """The largest difference over max(1, the largest expected magnitude); inf where shapes differ.

    Integers must be equal.
    """
    if [y.shape for y in received] != [y.shape for y in expected]:
        return float("inf")
    worst = 0.0
    for mine, theirs in zip(received, expected, strict=True):
        if theirs.dtype.kind in "iu":
            worst = max(worst, 0.0 if (mine == theirs).all() else float("inf"))
            continue
        error = np.abs(mine - theirs).max() / max(1.0, float(np.abs(theirs).max()))
        worst = max(worst, float(error)) if error == error else float("inf")
    return worst


def flat(result: Any) -> list[Any]:
    """Arrays out of whatever nesting."""
    if isinstance(result, Mapping):
        return [y for value in result.values() for y in flat(value)]
    if isinstance(result, (list, tuple)):
        return [y for value in result for y in flat(value)]
    return [np.asarray(result)]
