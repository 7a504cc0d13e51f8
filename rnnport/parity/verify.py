"""Verify an artifact: against golden.npz, and against a live model on fresh inputs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnport.artifact.golden import GoldenCase, read_golden
from rnnport.artifact.load import Artifact, open_artifact
from rnnport.errors import InputError, UsageError
from rnnport.parity.cases import Case, fresh_cases
from rnnport.parity.compare import Comparison, compare_all
from rnnport.parity.report import ParityReport
from rnnport.parity.streaming import check_streaming, cuts
from rnnport.parity.tolerance import TOLERANCES
from rnnport.runtime.runner import Runner, load
from rnnport.runtime.session import open_session
from rnnport.spec import Check, Form

__all__ = [
    "Reference",
    "Run",
    "check_golden",
    "run_form",
    "verify",
    "verify_golden",
    "verify_reference",
    "verify_stream",
]

_SEED = 40_000

Arrays = Mapping[str, NDArray[np.generic]]
Run = Callable[[Arrays], Arrays]
"""Input name to array in, output name to array out."""

Reference = Callable[[dict[str, NDArray[np.generic]]], Sequence[NDArray[np.generic]]]
"""Runs the original model: input name to array in, outputs in port order out."""


def verify(
    out: str | os.PathLike[str] | Artifact,
    *,
    provider: str = "cpu",
    reference: Reference | None = None,
) -> ParityReport:
    """Check that an artifact computes what TensorFlow computes, and streams as it runs whole.

    Args:
        out: the artifact's folder, or an opened Artifact.
        provider: of a backend, or "auto"; sets the tolerance too.
        reference: the live model; without it, golden.npz alone is compared.

    Raises:
        UsageError, ArtifactDamaged, ProviderUnavailable, ProviderLacks: as load.
    """
    artifact = out if isinstance(out, Artifact) else open_artifact(out)
    runner = load(artifact, provider=provider)
    golden = read_golden(artifact.path / artifact.manifest.golden.file)
    checks = verify_golden(runner, golden)
    checks += verify_stream(artifact, runner, golden)
    if reference is not None:
        cases = fresh_cases(artifact.manifest.forms["model"].inputs, golden)
        checks += verify_reference(runner, reference, cases)
    return ParityReport(artifact.manifest.name, runner.provider, tuple(checks))


def verify_golden(runner: Runner, golden: Sequence[GoldenCase]) -> list[Check]:
    """Run golden inputs and compare with golden outputs; no TensorFlow needed."""
    tolerance = TOLERANCES[runner.provider]
    moves = runner.manifest.conditioning
    return check_golden(golden, runner.run_named, runner.output_names, tolerance, moves)


def run_form(path: Path, form: Form, provider: str = "cpu") -> Run:
    """A form on any provider, states among its inputs and outputs.

    Args:
        path: the form's file.
        form: what it holds.
        provider: a resolved provider.
    """
    session = open_session(path, provider)
    names = [*(p.name for p in form.outputs), *(s.output for s in form.states)]

    def run(inputs: Arrays) -> Arrays:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run


def verify_stream(artifact: Artifact, runner: Runner, golden: Sequence[GoldenCase]) -> list[Check]:
    """Run the stream form, where there is one, in chunks and steps against the whole form."""
    forms = artifact.manifest.forms
    if "stream" not in forms:
        return []
    stream = forms["stream"]
    run = run_form(artifact.forms["stream"], stream, runner.provider)
    found = cuts(forms["model"], stream, shortest=_shortest(stream, golden), seed=_SEED)
    return check_streaming(forms["model"], stream, runner.run_named, run, found)


def _shortest(stream: Form, golden: Sequence[GoldenCase]) -> int:
    """A length the model was seen to take."""
    timed = [p for p in stream.inputs if "T" in p.shape]
    found = [(case.inputs[p.name], p) for case in golden for p in timed]
    # Golden inputs of a bare cell are single steps.
    return min((x.shape[1] for x, p in found if x.ndim == len(p.shape)), default=4)


def check_golden(
    golden: Sequence[GoldenCase],
    run: Run,
    outputs: Sequence[str],
    tolerance: float,
    moves: Mapping[str, float] | None = None,
) -> list[Check]:
    """The same for anything that runs; an exception in run is a failed check.

    Args:
        golden: cases with TensorFlow's outputs.
        run: input name to array in, output name to array out.
        outputs: names of all outputs.
        tolerance: from TOLERANCES.
        moves: as in compare_all.
    """
    comparisons = []
    for number, case in enumerate(golden, 1):
        received, note = _attempt(run, case.inputs)
        name = f"golden {number}: {case.name}"
        comparisons.append(Comparison(name, case.outputs, received, note))
    return compare_all("golden", comparisons, outputs, tolerance, moves)


def verify_reference(runner: Runner, reference: Reference, cases: Sequence[Case]) -> list[Check]:
    """Run fresh inputs through both and compare; an exception in either is a failed check.

    Raises:
        UsageError: the reference gives another number of outputs: it is another model.
    """
    names = runner.output_names

    def expect(inputs: Arrays) -> Arrays:
        return _named(names, reference(dict(inputs)))

    comparisons = []
    for case in cases:
        expected, trouble = _attempt(expect, case.inputs)
        received, note = _attempt(runner.run_named, case.inputs)
        comparisons.append(Comparison(case.name, expected, received, trouble or note))
    tolerance, moves = TOLERANCES[runner.provider], runner.manifest.conditioning
    return compare_all("fresh", comparisons, names, tolerance, moves)


def _attempt(run: Run, inputs: Arrays) -> tuple[Arrays, str]:
    """Run, or say in one line why not. Runtimes and models raise what they like."""
    try:
        return run(inputs), ""
    except UsageError as error:
        if not isinstance(error, InputError):
            raise
        return {}, str(error.reasons[0])
    except Exception as error:
        return {}, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _named(names: Sequence[str], outputs: Sequence[NDArray[np.generic]]) -> Arrays:
    if len(outputs) != len(names):
        expected = f"{len(names)} outputs: {', '.join(names)}"
        remedy = "pass the model this artifact was exported from"
        raise UsageError.of("model", f"{len(outputs)} outputs", expected, remedy)
    return {name: np.asarray(output) for name, output in zip(names, outputs, strict=True)}
