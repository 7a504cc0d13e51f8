"""Verify an artifact: every question of CHECK_KINDS, asked on one backend."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from rnnport.artifact.golden import read_golden
from rnnport.artifact.load import Artifact, open_artifact
from rnnport.errors import UsageError
from rnnport.parity.checks.accuracy import accuracies, check_accuracy
from rnnport.parity.checks.axes import check_axes
from rnnport.parity.checks.determinism import check_determinism
from rnnport.parity.checks.fresh import Reference, check_fresh
from rnnport.parity.checks.generation import check_generation
from rnnport.parity.checks.golden import check_golden, compare_golden, run_golden
from rnnport.parity.checks.halves import check_halves
from rnnport.parity.checks.isolation import check_isolation
from rnnport.parity.checks.precision import budget_rows, paid_rows
from rnnport.parity.checks.round_trip import check_round_trip
from rnnport.parity.checks.stream import check_stream
from rnnport.parity.checks.structure import check_structure
from rnnport.parity.failure import failure
from rnnport.parity.histogram import histograms
from rnnport.parity.machine import form_facts, machine, versions_here
from rnnport.parity.report import ParityReport
from rnnport.parity.subject import Run, Subject, run_form
from rnnport.parity.taps import run_layers
from rnnport.parity.where import first_bad_layer
from rnnport.progress import Progress
from rnnport.runtime.backends.registry import BACKENDS
from rnnport.runtime.precisions import provider_for
from rnnport.runtime.providers import resolve_provider
from rnnport.runtime.runner import load
from rnnport.spec import CHECK_KINDS, Check, Lack

__all__ = ["Reference", "Run", "check_golden", "run_form", "verify"]

_GOLDEN = ("shapes", "masks", "scale", "drift")
_NEEDS = {
    "streaming": {"stream"},
    "round trip": {"stream"},
    "hand-off": {"encoder", "decoder"},
    "generation": {"encoder", "decoder", "generate"},
}
"""Forms beside model.onnx that a question is about."""
_ROWS = 5


def verify(
    out: str | os.PathLike[str] | Artifact,
    *,
    provider: str = "cpu",
    reference: Reference | None = None,
    seed: int = 0,
    kinds: Collection[str] | None = None,
    progress: Progress | None = None,
) -> ParityReport:
    """Check that an artifact computes what TensorFlow computes, and keeps the laws of DESIGN.md.

    Args:
        out: the artifact's folder, or an opened Artifact.
        provider: the backend; sets the tolerance too.
        reference: the live model; without it, nothing is compared on fresh inputs.
        seed: of everything drawn; the same seed asks the same.
        kinds: questions to ask, of CHECK_KINDS; all where None.
        progress: told a kind and the fraction done.

    Raises:
        UsageError: no such kind, a seed that is none, or as load.
        ArtifactDamaged, ProviderUnavailable: as load.
    """
    begun = time.perf_counter()
    wanted = _checked(kinds, seed)
    artifact = out if isinstance(out, Artifact) else open_artifact(out)
    report = ParityReport(
        artifact.manifest.name,
        provider,
        (),
        forms=form_facts(artifact),
        layers=tuple(artifact.manifest.layers),
        versions={"export": artifact.manifest.versions, "here": versions_here(provider)},
        machine=machine(),
        command=_command(artifact.path, provider, seed, kinds),
    )
    resolved = provider_for(artifact.manifest, provider, resolve_provider(provider))
    lacks = list(_lacks(artifact, resolved))
    report = replace(report, lacks=tuple(lacks))
    if any(lack.form == "model" for lack in lacks):
        return replace(report, seconds=time.perf_counter() - begun)
    runner = load(artifact, provider=provider)
    golden = read_golden(artifact.path / artifact.manifest.golden.file)
    subject = Subject(artifact, runner, golden, seed)
    report = _answers(subject, reference, wanted, report, progress or (lambda kind, done: None))
    return replace(report, seconds=time.perf_counter() - begun)


def _lacks(artifact: Artifact, provider: str) -> Iterator[Lack]:
    """What keeps the provider from running each form."""
    for name, path in artifact.forms.items():
        for lack in BACKENDS[provider].lacks(path):
            yield msgspec.structs.replace(lack, form=name)


def _answers(
    subject: Subject,
    reference: Reference | None,
    wanted: Sequence[str],
    report: ParityReport,
    progress: Progress,
) -> ParityReport:
    names, timed = subject.runner.output_names, subject.timed
    lacking = {lack.form for lack in report.lacks}
    progress("golden", 0.0)
    given = run_golden(subject.golden, subject.runner.run_named)
    moves = subject.manifest.conditioning
    # Law 7 is float32's: in other precisions there is a budget, and a row that says what was paid.
    found = accuracies(subject.golden, given, names, timed) if subject.exact else []
    questions: list[tuple[str, Callable[[], Sequence[Check]]]] = [
        (
            "golden",
            lambda: (
                compare_golden(subject.golden, given, names, subject.tolerance, moves, timed)
                if subject.exact
                else budget_rows(subject, given)
            ),
        ),
        ("fresh", lambda: check_fresh(subject, reference) if reference is not None else []),
        ("axes", lambda: check_axes(subject)),
        ("isolation", lambda: _isolation(subject)),
        ("determinism", lambda: check_determinism(subject)),
        ("structure", lambda: check_structure(subject)),
        ("streaming", lambda: check_stream(subject)),
        ("round trip", lambda: check_round_trip(subject)),
        ("hand-off", lambda: check_halves(subject)),
        ("generation", lambda: check_generation(subject)),
        ("accuracy", lambda: check_accuracy(found, subject.golden, subject.tolerance)),
        ("precision", lambda: [] if subject.exact else paid_rows(subject, given)),
    ]
    asked = [
        (kind, question)
        for kind, question in questions
        if _is_wanted(kind, wanted) and not _NEEDS.get(kind, set()) & lacking
    ]
    checks: list[Check] = []
    for place, (kind, question) in enumerate(asked):
        progress(kind, place / len(asked))
        checks += _answer(kind, question)
    progress("done", 1.0)
    checks = [check for check in checks if not check.kind or check.kind in wanted]
    return replace(
        report,
        provider=subject.provider,
        checks=tuple(_with_layer(subject, checks)),
        accuracy=tuple(found),
        histograms=tuple(histograms(subject.golden, given, names)),
    )


def _answer(kind: str, question: Callable[[], Sequence[Check]]) -> Sequence[Check]:
    """The checks; a runtime that fails where it claimed to lack nothing is a failed one."""
    try:
        return question()
    except UsageError:
        raise
    except Exception as error:  # runtimes raise what they like
        note = failure(error)
        name = "golden inputs" if kind == "golden" else kind
        failed = Check(name=name, output="", error=None, bound=0.0, passed=False, note=note)
        return [msgspec.structs.replace(failed, kind="" if kind == "golden" else kind)]


def _is_wanted(question: str, wanted: Sequence[str]) -> bool:
    return any(kind in wanted for kind in (_GOLDEN if question == "golden" else (question,)))


def _isolation(subject: Subject) -> list[Check]:
    if subject.manifest.mixes_rows:
        return []
    sizes = subject.sizes(batch=_ROWS, longer=3)
    return check_isolation(
        subject.model,
        subject.runner.run_named,
        sizes,
        subject.seed,
        tolerance=subject.tolerance,
        moves=subject.manifest.conditioning,
    )


def _with_layer(subject: Subject, checks: Sequence[Check]) -> list[Check]:
    """Failed golden checks also say which layer is the first to differ."""
    # In other precisions every layer is somewhat off, and the first of them is none to blame.
    if not subject.exact or all(check.passed for check in checks if check.kind in _GOLDEN):
        return list(checks)
    layer = _bad_layer(subject)
    return [
        msgspec.structs.replace(check, start=f"layer {layer!r}, {check.start}".rstrip(", "))
        if layer and check.kind in _GOLDEN and not check.passed
        else check
        for check in checks
    ]


def _bad_layer(subject: Subject) -> str:
    case = next((case for case in subject.golden if case.layers), None)
    if case is None:
        return ""
    values = {layer.name: layer.value for layer in subject.manifest.layers if layer.value}
    path = subject.artifact.forms["model"]
    received = run_layers(path, values, case.inputs, subject.provider)
    return first_bad_layer(list(values), case.layers, received, subject.tolerance)


def _checked(kinds: Collection[str] | None, seed: int) -> Sequence[str]:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError.of("seed", repr(seed), "a whole number from 0 up", "leave it out")
    unknown = sorted(set(kinds or ()) - set(CHECK_KINDS))
    if unknown:
        expected = f"some of {', '.join(CHECK_KINDS)}"
        raise UsageError.of("checks", ", ".join(unknown), expected, "leave it out to ask all")
    return [kind for kind in CHECK_KINDS if kinds is None or kind in kinds]


def _command(path: Path, provider: str, seed: int, kinds: Collection[str] | None) -> str:
    only = [part for kind in kinds or () for part in ("--check", kind)]
    parts = ["rnnport", "verify", str(path), "--provider", provider, "--seed", str(seed), *only]
    return shlex.join(parts)
