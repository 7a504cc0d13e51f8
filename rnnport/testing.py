"""For the test suites of those who train models: `assert_parity(model)`.

Needs the `export` extra. Under pytest there is a fixture of the same name, which keeps a report.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rnnport
from rnnport.errors import UsageError

if TYPE_CHECKING:
    from rnnport.artifact.load import Artifact
    from rnnport.parity.report import ParityReport

__all__ = ["assert_parity"]


def assert_parity(
    model: Any,
    *,
    tolerance: float | None = None,
    provider: str = "cpu",
    custom_objects: Mapping[str, Any] | None = None,
    input_signature: Any = None,
    target: str = "portable",
    keep: str | os.PathLike[str] | None = None,
    artifact: Artifact | str | os.PathLike[str] | None = None,
    report: str | os.PathLike[str] | None = None,
) -> Artifact:
    """Export a model, compare the artifact with the model itself, and fail where they differ.

    Args:
        model: as rnnport.export takes it, one model.
        tolerance: your own bound on |rnnport - TensorFlow| / max(1, largest expected magnitude),
            tighter or looser than rnnport's own (1e-5 on the CPU, 1e-4 on others). It holds for
            comparisons with TensorFlow alone: streams, states and token ids are held to their own
            laws, and a looser bound proves less. An artifact exported at a looser bound says in
            its manifest that it failed rnnport's.
        provider: the runtime to check.
        custom_objects: as in rnnport.export.
        input_signature: as in rnnport.export.
        target: as in rnnport.export.
        keep: the folder to export to; an artifact that is there is replaced. Where None, the
            artifact is removed along with the object that this returns.
        artifact: compare this artifact, or folder, in place of exporting; not with keep.
        report: write the report there too, passed or not; ends in .html.

    Returns:
        The artifact, proven equal.

    Raises:
        AssertionError: some check failed, nothing was compared, or the provider cannot run the
            model; tells which rows, where they start and how to reproduce them.
        UsageError: an argument that cannot be right.
        ModelError: the model cannot be exported.
    """
    _refuse(keep, artifact, report)
    found = (
        _opened(artifact)
        if artifact is not None
        else _exported(
            model,
            keep,
            custom_objects=custom_objects,
            input_signature=input_signature,
            target=target,
        )
    )
    seen = rnnport.verify(
        found,
        provider=provider,
        model=model,
        custom_objects=custom_objects,
        input_signature=input_signature,
    )
    _judge(_with_export(seen, found), tolerance, report, lasting=bool(keep or artifact))
    return found


def _judge(
    seen: ParityReport,
    tolerance: float | None,
    report: str | os.PathLike[str] | None,
    *,
    lasting: bool,
) -> None:
    from rnnport.parity.own_bound import held_to
    from rnnport.parity.story import failure_story
    from rnnport.parity.writing import write_report

    judged = held_to(seen, tolerance)
    if report is not None:
        write_report(judged, report)
    if judged.passed:
        return
    command = f"reproduce: {seen.command}" if seen.command else ""
    again = command if lasting else "reproduce: keep the artifact with keep=, then rnnport verify"
    held = f"held to tolerance={tolerance:g}" if tolerance is not None else ""
    raise AssertionError(
        failure_story(judged, held, again, f"report: {report}" if report is not None else "")
    )


def _with_export(seen: ParityReport, artifact: Artifact) -> ParityReport:
    """What failed at export and verify does not repeat fails here too."""
    known = {(check.name, check.output) for check in seen.checks}
    missed = [
        check
        for check in artifact.manifest.parity
        if not check.passed and (check.name, check.output) not in known
    ]
    return replace(seen, checks=(*seen.checks, *missed)) if missed and not seen.lacks else seen


def _opened(artifact: Artifact | str | os.PathLike[str]) -> Artifact:
    from rnnport.artifact.load import Artifact as Opened

    return artifact if isinstance(artifact, Opened) else rnnport.open(artifact)


def _exported(model: Any, keep: str | os.PathLike[str] | None, **options: Any) -> Artifact:
    """The model as an artifact, whether it is right or not: that is for the report to tell."""
    if keep is not None:
        return rnnport.export(model, keep, overwrite=True, verify=False, **options)
    folder = tempfile.mkdtemp(prefix="rnnport-")
    try:
        artifact = rnnport.export(model, Path(folder) / "artifact", verify=False, **options)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(artifact, shutil.rmtree, folder, ignore_errors=True)
    return artifact


def _refuse(keep: Any, artifact: Any, report: Any) -> None:
    """What cannot be meant, before the long work."""
    if keep is not None and artifact is not None:
        expected = "keep, the folder of a new artifact, or artifact, one that is there"
        raise UsageError.of("keep, artifact", "both", expected, "leave one out")
    if report is not None:
        from rnnport.parity.writing import check_report_path

        check_report_path(report, ".html")
