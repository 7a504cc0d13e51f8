"""The artifact in a terminal: short after an export, long in inspect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from rnnport.cli.show import (
    facts,
    files_table,
    fixed_axes_lines,
    layers_table,
    op_counts_line,
    ports_table,
    section,
)
from rnnport.parity.paid import paid_words
from rnnport.parity.report import ParityReport
from rnnport.parity.table import verdict_line
from rnnport.spec import Manifest, Streamable

if TYPE_CHECKING:
    from rnnport.artifact.load import Artifact

__all__ = ["artifact_details", "export_summary"]


def export_summary(artifact: Artifact, seconds: float) -> Group:
    """What was written, how each layer was lowered, and how well it agrees."""
    manifest = artifact.manifest
    head = Text.assemble(("✓ ", "bold green"), (manifest.name, "bold"), f" → {artifact.path}")
    head.append(f"  {seconds:.1f} s", style="dim")
    blocks: list[RenderableType] = [head, Text()]
    blocks.append(section("files", files_table(artifact)))
    blocks += _layers(manifest)
    blocks.append(section("parity with TensorFlow", _parity(manifest)))
    blocks += _paid(manifest)
    return Group(*blocks, *_remarks(manifest))


def artifact_details(artifact: Artifact) -> Group:
    """Everything the manifest says."""
    manifest = artifact.manifest
    blocks: list[RenderableType] = [
        Text.assemble((manifest.name, "bold"), (f"  {artifact.path}", "dim")),
        Text(),
        section("origin", _origin(manifest)),
    ]
    blocks += [section(form.record.file, ports_table(form)) for form in manifest.forms.values()]
    blocks += _layers(manifest)
    blocks.append(section("operators", op_counts_line(manifest)))
    blocks.append(section("files", files_table(artifact)))
    blocks.append(section("parity at export", _parity(manifest)))
    blocks += _paid(manifest)
    return Group(*blocks, *_remarks(manifest))


def _origin(manifest: Manifest) -> RenderableType:
    return facts(
        {
            **manifest.source,
            "target": manifest.target,
            "opset": str(manifest.opset),
            "precision": manifest.precision,
            "streamable": _verdict(manifest.streamable),
            "encoder and decoder": _verdict(manifest.handoff),
            "made with": ", ".join(f"{name} {v}" for name, v in manifest.versions.items()),
        }
    )


def _verdict(verdict: Streamable) -> str:
    where = f" (layer {verdict.layer})" if verdict.layer else ""
    reason = f": {verdict.reason}" if verdict.reason else ""
    return "yes" if verdict.ok else f"no{reason}{where}"


def _layers(manifest: Manifest) -> list[RenderableType]:
    if not manifest.layers:
        return []
    return [section("recurrent layers", layers_table(manifest.layers))]


def _parity(manifest: Manifest) -> Text:
    if not manifest.parity:
        return Text("not checked at export", style="yellow")
    return verdict_line(ParityReport(manifest.name, "cpu", tuple(manifest.parity)))


def _paid(manifest: Manifest) -> list[RenderableType]:
    """What a precision other than float32 costs, a line an output."""
    lines = [f"{one.output}: {paid_words(one)}" for one in manifest.paid]
    return [section(f"paid for {manifest.precision}", Text("\n".join(lines)))] if lines else []


def _remarks(manifest: Manifest) -> list[RenderableType]:
    remarks: list[RenderableType] = []
    if manifest.fixed_axes:
        remarks.append(section("fixed axes", fixed_axes_lines(manifest.fixed_axes)))
    if manifest.notes:
        remarks.append(section("notes", Text("\n".join(f"• {note}" for note in manifest.notes))))
    return remarks
