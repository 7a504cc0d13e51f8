"""Puts a tuned artifact in place, once it is proven the same."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from rnnport.artifact.consistency import file_records
from rnnport.artifact.load import Artifact, open_artifact
from rnnport.artifact.save import check_target, file_names, staging, strangers
from rnnport.errors import ArtifactExists, ParityError, Reason, SaveFailed, UsageError
from rnnport.parity.report import ParityReport
from rnnport.parity.verify import verify
from rnnport.spec import Form, LayerReport, Manifest, Tuned
from rnnport.tuning.graphs import Graphs, retold
from rnnport.tuning.report import TuneReport

__all__ = ["check_place", "copied", "write_tuned"]


def check_place(artifact: Artifact, out: str | os.PathLike[str] | None) -> None:
    """Refuse early what write_tuned would refuse late.

    Raises:
        ArtifactExists: out is taken; or the artifact's own folder, which is replaced as a whole,
            holds files that are not the artifact's.
        UsageError: the current folder would be replaced.
        SaveFailed: the place cannot be looked at.
    """
    if out is not None:
        check_target(out)
        if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(artifact.path)):
            remedy = "choose a folder beside it"
            expected = f"a folder outside {artifact.path}, which holds an artifact's files alone"
            raise UsageError.of("out", f"{out}", expected, remedy)
        return
    check_target(artifact.path, overwrite=True)
    if foreign := strangers(artifact.path, artifact.manifest):
        raise ArtifactExists.of(
            f"folder {artifact.path}",
            f"it also holds {', '.join(foreign[:4])}{', …' if len(foreign) > 4 else ''}",
            "only an artifact's files, since the folder is replaced",
            "move them away, or write to a new folder: out= (--out)",
        )


def copied(artifact: Artifact, folder: Path) -> Artifact:
    """A copy of what an artifact's manifest lists, checked as when it is opened.

    Raises:
        ArtifactDamaged: the artifact is being changed.
    """
    folder.mkdir()
    for name in file_names(artifact.manifest):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(artifact.path / name, folder / name)
    return open_artifact(folder)


def write_tuned(
    artifact: Artifact,
    graphs: Graphs,
    report: TuneReport,
    place: Path,
    out: str | os.PathLike[str] | None,
) -> Artifact:
    """Write the tuned artifact beside its place, verify it, and swap it in.

    Args:
        artifact: as it was; a copy.
        graphs: the best ones.
        report: what was tuned.
        place: where the artifact itself is.
        out: a new folder, or None for the artifact's own.

    Raises:
        ParityError: the tuned artifact fails its own verification; nothing was changed.
        SaveFailed: the file system refused, or somebody changed the artifact meanwhile.
    """
    facts = artifact.manifest
    with staging(place if out is None else out, overwrite=out is None) as draft:
        for entry in file_records(facts):
            shutil.copy2(artifact.path / entry.file, draft.folder / entry.file)
        forms: dict[str, Form] = dict(facts.forms)
        for name, variant in graphs.changed.items():
            for old in (facts.forms[name].record, *facts.forms[name].data):
                (draft.folder / old.file).unlink()
            for new in (variant.form.record, *variant.form.data):
                shutil.copy2(variant.path.parent / new.file, draft.folder / new.file)
            forms[name] = variant.form
        manifest = msgspec.structs.replace(
            facts,
            forms=forms,
            layers=_layers(facts, graphs),
            # Old points were measured on the old graph.
            tuned=_merged([] if "model" in graphs.changed else facts.tuned, report.tuned),
        )
        _refuse_failed(verify(Artifact.of(draft.folder, manifest), provider="cpu"))
        if out is None:
            _require_unchanged(place, facts)
        return draft.commit(manifest)


def _require_unchanged(place: Path, facts: Manifest) -> None:
    """Somebody else's export or tuning is not to be overwritten with what was measured before."""
    found = open_artifact(place)
    check_place(found, None)
    if found.manifest != facts:
        raise SaveFailed.of(
            f"tuning {place}",
            "the artifact was changed meanwhile",
            "the one that was measured; what is there now stays",
            "tune again",
        )


def _layers(facts: Manifest, graphs: Graphs) -> list[LayerReport]:
    variant = graphs.changed.get("model")
    if variant is None:
        return list(facts.layers)
    return retold(facts.layers, variant.switched, graphs.names("model"))


def _merged(old: Sequence[Tuned], new: Sequence[Tuned]) -> list[Tuned]:
    """New points, and old ones of other sizes or threads."""
    sizes = {(point.batch, point.time, point.threads) for point in new}
    kept = [point for point in old if (point.batch, point.time, point.threads) not in sizes]
    return [*kept, *new]


def _refuse_failed(report: ParityReport) -> None:
    failed = [check for check in report.checks if not check.passed]
    if failed:
        raise ParityError(
            *(
                Reason(
                    f"tuned artifact, {check.name}, output {check.output!r}",
                    check.note or f"a difference of {check.error:.3g}",
                    f"at most {check.bound:.3g}",
                    "report it with the model; the artifact was left as it was",
                )
                for check in failed[:8]
            )
        )
