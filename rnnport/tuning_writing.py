"""Puts a tuned artifact in place, once it is proven the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

import msgspec

from rnnport.artifact.consistency import file_records
from rnnport.artifact.load import Artifact
from rnnport.artifact.save import staging
from rnnport.errors import ParityError, Reason
from rnnport.parity.report import ParityReport
from rnnport.parity.verify import verify
from rnnport.retuning import Graphs, retold
from rnnport.spec import Form, LayerReport, Manifest, Tuned
from rnnport.tuning_report import TuneReport

__all__ = ["write_tuned"]


def write_tuned(
    artifact: Artifact, graphs: Graphs, report: TuneReport, out: str | os.PathLike[str] | None
) -> Artifact:
    """Write the tuned artifact beside its place, verify it, and swap it in.

    Args:
        artifact: as it was.
        graphs: the best ones.
        report: what was tuned.
        out: a new folder, or None for the artifact's own.

    Raises:
        ParityError: the tuned artifact fails its own verification; nothing was changed.
        SaveFailed: the file system refused.
    """
    facts = artifact.manifest
    with staging(artifact.path if out is None else out, overwrite=out is None) as draft:
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
        return draft.commit(manifest)


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
