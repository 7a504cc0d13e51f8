"""Export a drawn model and compare it with TensorFlow at other sizes and with other masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rnnport
from rnnport.artifact.load import Artifact
from tests.sweep.build import Case, build
from tests.sweep.expected import scan_expected, scan_needed, streams_expected
from tests.sweep.fault import demand, demand_passed, stage
from tests.sweep.halves import check_halves
from tests.sweep.stack import Stack
from tests.sweep.stepper import check_stepper


def check(
    case: Case,
    folder: Path,
    seen: Callable[[float], None] = lambda error: None,
    streamed: Callable[[float], None] = lambda error: None,
) -> None:
    """Export, compare at fresh sizes and masks, stream, and look at the graph.

    Args:
        case: the model.
        folder: receives the artifact.
        seen: told the worst error relative to its bound.
        streamed: told by how much each output of a chunk or a step differs from the whole run's,
            relative to the bound.

    Raises:
        Fault: something does not hold.
    """
    with stage("build"):
        model = build(case)
    with stage("export"):
        artifact = rnnport.export(model, folder, overwrite=True, target=case.target)
    # No model is drawn so ill-conditioned that rounding would excuse a difference.
    conditioning = artifact.manifest.conditioning
    demand(not conditioning, "conditioning", conditioning)
    ops = artifact.manifest.forms["model"].op_counts
    demand(not {"Loop", "If"} & set(ops), "operators: Loop", ops)
    if isinstance(case, Stack):
        _check_stack(case, artifact, streamed)
    else:
        demand("Scan" not in ops or scan_expected(case), "operators: Scan", ops)
        handoff = artifact.manifest.handoff
        demand(handoff.ok == case.hands_off, "hand-off", handoff)
        if handoff.ok:
            with stage("halves"):
                check_halves(model, folder, case.seed, seen)
    with stage("verify"):
        report = rnnport.verify(folder, model=model)
    for row in (*artifact.manifest.parity, *report.checks):
        if row.error is not None and row.bound:
            seen(row.error / row.bound)
    demand_passed(report.checks)


def _check_stack(stack: Stack, artifact: Artifact, streamed: Callable[[float], None]) -> None:
    manifest = artifact.manifest
    ops: dict[str, Any] = manifest.forms["model"].op_counts
    demand("Scan" not in ops or scan_expected(stack), "operators: Scan", (ops, manifest.layers))
    demand("Scan" in ops or not scan_needed(stack), "operators: no Scan", (ops, manifest.layers))
    streamable = manifest.streamable
    # An unrolled layer fixes the length only where others hold it to what was traced.
    if not any(layer.unroll for layer in stack.layers):
        demand(streamable.ok == streams_expected(stack), "streamable", streamable)
    if streamable.ok:
        with stage("stepper"):
            check_stepper(artifact.path, stack.seed, streamed)
