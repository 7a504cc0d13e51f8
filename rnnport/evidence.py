"""What export leaves behind as evidence: more golden cases, and the truth about all of them.

Truth is a run in float64. The model rebuilt under TensorFlow gives it for a few cases; where the
written graph, run in float64 by the reference evaluator, gives the same there, what differs between
the two in float32 is rounding alone, and the graph stands in for the other cases.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from rnnport.artifact.golden import PROVEN_GRAPH, TENSORFLOW, THE_GRAPH, GoldenCase
from rnnport.building import Built
from rnnport.capture.more_cases import more_cases
from rnnport.capture.reference import Reference
from rnnport.capture.source import Source
from rnnport.capture.truth import Twin, float64_twin
from rnnport.conditioning import conditioning
from rnnport.parity.checks.golden import check_golden
from rnnport.parity.checks.isolation import check_isolation
from rnnport.parity.compare import TRUSTED
from rnnport.parity.exact import ExactGraph, agrees
from rnnport.parity.row_padding import safe_row_padding
from rnnport.parity.subject import Run, run_form
from rnnport.parity.taps import run_layers
from rnnport.parity.tolerance import TOLERANCES
from rnnport.spec import Check, Form

__all__ = ["gather"]

Arrays = Mapping[str, NDArray[Any]]

# Cases on which the model rebuilt in float64 is run, which it is step by step in Python: the most
# telling one, and the one in which a wrong graph would have most room.
_TELLING = ("interior mask", "plain")
_EXTREME = "inputs times 1000"
_EXTREMES = ("scale", "drift")
# Seconds of processor time that the reference evaluator may take for a case, judged by a short one,
# most of which is not spent on steps.
_PATIENCE = 20.0


def gather(source: Source, built: Built, reference: Reference, folder: Path) -> Built:
    """Add evidence to a graph that equals TensorFlow.

    Args:
        source: the model.
        built: its graph, right already.
        reference: the model in TensorFlow.
        folder: holds the graph.
    """
    if not built.passed:
        return built
    more, notes = more_cases(built.plan, reference, built.form.outputs)
    path = folder / built.form.record.file
    truth = _Truth(float64_twin(source), _exact(path, built), [p.name for p in built.form.outputs])
    cases = [*built.cases, *more]
    asked = [_telling(cases), *(case for case in cases if case.name.startswith(_EXTREME))]
    cases = [truth.tell(case) if case in asked else case for case in cases]
    cases = [truth.fill(case) for case in cases]
    run = run_form(path, built.form)
    kept, notes = _kept(built, path, run, cases, notes)
    checks = _checks(built, run, kept)
    leaks, mixes_rows = _isolation(built, reference, run)
    return replace(
        built,
        form=built.form if mixes_rows else _with_pads(built, run),
        cases=_with_layers(kept, path, built),
        checks=[*checks, *leaks],
        notes=[*built.notes, *notes],
        mixes_rows=mixes_rows,
    )


def _isolation(built: Built, reference: Reference, run: Run) -> tuple[Sequence[Check], bool]:
    """Checks that the graph fails and TensorFlow passes, and whether both fail others."""
    sizes = {a: n if a == "B" else n + 1 for a, n in built.plan.sizes.items()}
    names, moves = [p.name for p in built.form.outputs], built.conditioning
    ours = check_isolation(built.form, run, sizes, moves=moves)
    if all(check.passed for check in ours):
        return [], False

    def ask(inputs: Arrays) -> Arrays:
        return dict(zip(names, reference(inputs), strict=True))

    theirs = {
        (c.name, c.output): c.passed for c in check_isolation(built.form, ask, sizes, moves=moves)
    }
    failed = [check for check in ours if not check.passed]
    alone = [check for check in failed if theirs[check.name, check.output]]
    return alone, len(alone) < len(failed)


def _with_pads(built: Built, run: Run) -> Form:
    """The form, with the letters along which rows of unequal length may share a batch."""
    pads = safe_row_padding(built.form, run, sizes=built.plan.sizes)
    return msgspec.structs.replace(built.form, pads=pads)


def _exact(path: Path, built: Built) -> ExactGraph | None:
    try:
        return ExactGraph(path, [p.name for p in built.form.outputs])
    except Exception:  # what an operator's Python implementation raises
        return None


class _Truth:
    """Tells cases their truth.

    Args:
        twin: the model in float64, where it can be rebuilt.
        graph: the written graph in float64, where the evaluator takes it.
        names: of the outputs.
    """

    def __init__(self, twin: Twin | None, graph: ExactGraph | None, names: Sequence[str]) -> None:
        self._twin, self._graph, self._names = twin, graph, names
        self._proven = False
        self._pace = 0.0

    def tell(self, case: GoldenCase) -> GoldenCase:
        """The case with TensorFlow's own truth, if there is a twin."""
        if self._twin is None:
            return case
        try:
            given = self._twin(case.inputs)
        except Exception:  # a rebuilt model may be less than the original
            self._twin = None
            return case
        truth = dict(zip(self._names, given, strict=True))
        if not agrees(case.outputs, truth, TRUSTED) and case.kind in ("shapes", "masks"):
            self._twin = None  # another model came out of the config
            return case
        if self._graph is not None and case.kind in ("shapes", "masks"):
            self._proven = agrees(self._run(case), truth)
            self._graph = self._graph if self._proven else None
        return replace(case, truth=truth, source=TENSORFLOW)

    def fill(self, case: GoldenCase) -> GoldenCase:
        """The case with the graph's truth, where it has none yet."""
        if self._graph is None or case.truth or self._slow(case):
            return case
        try:
            truth = self._run(case)
        except Exception:  # what an operator's Python implementation raises
            self._graph = None
            return case
        return replace(case, truth=truth, source=PROVEN_GRAPH if self._proven else THE_GRAPH)

    def _slow(self, case: GoldenCase) -> bool:
        return self._pace * _steps(case) > _PATIENCE

    def _run(self, case: GoldenCase) -> dict[str, NDArray[Any]]:
        assert self._graph is not None
        begun = time.thread_time()
        truth = self._graph(case.inputs)
        self._pace = (time.thread_time() - begun) / _steps(case)
        return truth


def _telling(cases: Sequence[GoldenCase]) -> GoldenCase:
    """The case of ordinary size that says most."""
    found = [c for word in _TELLING for c in cases if c.name.startswith(word)]
    return found[0] if found else cases[0]


def _steps(case: GoldenCase) -> int:
    return max((x.shape[1] for x in case.inputs.values() if x.ndim > 1), default=1)


def _lost(case: GoldenCase) -> bool:
    """Whether TensorFlow's float32 is too far from the truth for anything to be compared."""
    return (
        case.kind in _EXTREMES
        and bool(case.truth)
        and not agrees(case.outputs, case.truth, TRUSTED)
    )


def _kept(
    built: Built, path: Path, run: Run, cases: Sequence[GoldenCase], notes: Sequence[str]
) -> tuple[list[GoldenCase], list[str]]:
    """Cases that can be compared, and notes on extreme ones on which TensorFlow itself is lost.

    Inputs times 1000 make large sums, and those round: extreme cases beyond the bound are told how
    far last bits of the weights move them. Those that are farther off still are left out where no
    truth proven by TensorFlow tells rounding from a fault.
    """
    lost = [case for case in cases if _lost(case)]
    told = [f"TensorFlow itself loses its digits on {case.name}: not compared" for case in lost]
    kept = [_with_moves(built, path, run, case) for case in cases if case not in lost]
    proven = (TENSORFLOW, PROVEN_GRAPH)
    weak = [c for c in kept if c.kind in _EXTREMES and c.source not in proven]
    left_out = [case for case in weak if not _passes(built, run, case)]
    return [case for case in kept if case not in left_out], [*notes, *told]


def _with_moves(built: Built, path: Path, run: Run, case: GoldenCase) -> GoldenCase:
    """Told how far rounding moves it: where inputs are large, other runtimes need it too."""
    if case.kind not in _EXTREMES:
        return case
    if not case.name.startswith(_EXTREME) and _passes(built, run, case):
        return case
    found = conditioning(path, built.form, [case]).items()
    return replace(case, moves={name: m for name, m in found if m > TOLERANCES["cpu"] / 10})


def _passes(built: Built, run: Run, case: GoldenCase) -> bool:
    checks = _checks(built, run, [case])
    # One value alone, constant in a single run, says nothing about the others.
    return all(check.passed or not check.error for check in checks)


def _checks(built: Built, run: Run, cases: Sequence[GoldenCase]) -> list[Check]:
    """The graph on the CPU; what rounding does to it was measured on ordinary inputs, if at all."""
    if not cases:
        return []
    form = built.form
    names, timed = [p.name for p in form.outputs], [p.name for p in form.outputs if p.has_time]
    moves = built.conditioning
    return check_golden(cases, run, names, TOLERANCES["cpu"], moves, timed)


def _with_layers(cases: Sequence[GoldenCase], path: Path, built: Built) -> list[GoldenCase]:
    """The most telling small case knows what every layer gave."""
    named = {layer.name: layer.value for layer in built.layers if layer.value}
    if not named:
        return list(cases)
    chosen = _telling(cases)
    layers = run_layers(path, named, chosen.inputs)
    return [replace(c, layers=layers) if c is chosen else c for c in cases]
