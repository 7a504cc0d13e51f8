"""Verify an artifact: against golden.npz, and against a live model on fresh inputs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rnnport.artifact.golden import GoldenCase, read_golden
from rnnport.artifact.load import Artifact, open_artifact
from rnnport.errors import UsageError
from rnnport.parity.cases import Case, fresh_cases
from rnnport.parity.compare import Comparison, compare_all
from rnnport.parity.report import ParityReport
from rnnport.parity.tolerance import TOLERANCES
from rnnport.runtime.runner import Runner, load
from rnnport.spec import Check

__all__ = ["Reference", "verify", "verify_golden", "verify_reference"]

Reference = Callable[[dict[str, NDArray[np.generic]]], Sequence[NDArray[np.generic]]]
"""Runs the original model: input name to array in, outputs in port order out."""


def verify(
    out: str | os.PathLike[str] | Artifact,
    *,
    provider: str = "cpu",
    reference: Reference | None = None,
) -> ParityReport:
    """Check that an artifact computes what TensorFlow computes.

    Args:
        out: the artifact's folder, or an opened Artifact.
        provider: "cpu", "cuda" or "auto"; sets the tolerance too.
        reference: the live model; without it, golden.npz alone is compared.

    Raises:
        UsageError, ArtifactDamaged, ProviderUnavailable: as load.
    """
    artifact = out if isinstance(out, Artifact) else open_artifact(out)
    runner = load(artifact, provider=provider)
    golden = read_golden(artifact.path / artifact.manifest.golden.file)
    checks = verify_golden(runner, golden)
    if reference is not None:
        cases = fresh_cases(artifact.manifest.forms["model"].inputs, golden)
        checks += verify_reference(runner, reference, cases)
    return ParityReport(artifact.manifest.name, runner.provider, tuple(checks))


def verify_golden(runner: Runner, golden: Sequence[GoldenCase]) -> list[Check]:
    """Run golden inputs and compare with golden outputs; no TensorFlow needed."""
    comparisons = [
        Comparison(f"golden {number}: {case.name}", case.outputs, runner.run_named(case.inputs))
        for number, case in enumerate(golden, 1)
    ]
    return compare_all("golden", comparisons, runner.output_names, TOLERANCES[runner.provider])


def verify_reference(runner: Runner, reference: Reference, cases: Sequence[Case]) -> list[Check]:
    """Run fresh inputs through both and compare.

    Raises:
        UsageError: the reference gives another number of outputs.
    """
    comparisons = [
        Comparison(
            case.name, _expected(runner, reference, case.inputs), runner.run_named(case.inputs)
        )
        for case in cases
    ]
    return compare_all("fresh", comparisons, runner.output_names, TOLERANCES[runner.provider])


def _expected(
    runner: Runner, reference: Reference, inputs: Mapping[str, NDArray[np.generic]]
) -> dict[str, NDArray[np.generic]]:
    names = runner.output_names
    outputs = [np.asarray(output) for output in reference(dict(inputs))]
    if len(outputs) != len(names):
        expected = f"{len(names)} outputs: {', '.join(names)}"
        remedy = "pass the model this artifact was exported from"
        raise UsageError.of("model", f"{len(outputs)} outputs", expected, remedy)
    return dict(zip(names, outputs, strict=True))
