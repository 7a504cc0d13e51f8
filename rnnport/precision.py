"""Forms that were proven in float32, converted to another precision and held to its budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import onnx_ir as ir

from rnnport.artifact.golden import GoldenCase
from rnnport.artifact.load import Artifact
from rnnport.artifact.manifest import record
from rnnport.building import Settings, drop_form
from rnnport.errors import ParityError, Reason, UnsupportedModel
from rnnport.graph.finish import count_ops, write_onnx
from rnnport.graph.float16 import to_float16
from rnnport.graph.float16_weights import TooLarge
from rnnport.graph.int8 import to_int8
from rnnport.graph.step_weights import step_weights
from rnnport.parity.checks.generation import check_generation
from rnnport.parity.checks.golden import run_golden
from rnnport.parity.checks.halves import check_halves
from rnnport.parity.checks.precision import budget_rows, figures_of, paid_rows
from rnnport.parity.checks.stream import check_stream
from rnnport.parity.one_chunk import takes_chunks
from rnnport.parity.subject import Subject
from rnnport.runtime.runner import Runner
from rnnport.runtime.session import open_session
from rnnport.spec import Check, Form, LayerReport, Manifest

__all__ = ["in_precision"]

_WHOLE = ("model", "encoder", "generate")
"""Forms that are given whole sequences at once."""

_SHARED = (
    "int8: what LSTMs of model.onnx are given is rounded by one scale for all rows and steps, so "
    "that a row's outputs depend a little on its company, and much beside a row whose values are "
    "far larger or NaN; streams and decoders keep apart"
)
_UNMEASURED = (
    "float16: compared on the CPU, where every operator is cast to float32 and back; neither its "
    "numbers nor its speed were measured on CUDA"
)


def in_precision(
    manifest: Manifest, cases: Sequence[GoldenCase], folder: Path, settings: Settings
) -> Manifest:
    """Convert every form in the draft's folder; float32 changes nothing.

    Args:
        manifest: of the forms in float32.
        cases: golden cases.
        folder: holds the forms.
        settings: what was asked for.

    Returns:
        The manifest of what the folder holds now, with what was paid.

    Raises:
        ParityError: it costs more than its budget, or a law does not hold.
        UnsupportedModel: float16 does not hold its weights.
    """
    precision = settings.precision
    if precision == "float32":
        return manifest
    forms = {
        name: _convert(name, form, manifest, folder, precision)
        for name, form in manifest.forms.items()
    }
    dynamic = bool(forms["model"].op_counts.get("DynamicQuantizeLSTM"))
    made = msgspec.structs.replace(
        manifest,
        precision=precision,
        forms=forms,
        layers=_layers(manifest.layers, forms["model"].op_counts),
        mixes_rows=manifest.mixes_rows or dynamic,
        parity=[],
    )
    subject = _subject(made, cases, folder)
    given = run_golden(cases, subject.runner.run_named)
    checks = [
        *budget_rows(subject, given),
        *check_stream(subject),
        *check_halves(subject),
        *check_generation(subject),
        *paid_rows(subject, given),
    ]
    if settings.verify and not all(check.passed for check in checks):
        raise _too_dear(made, checks)
    paid = figures_of(subject, given)
    notes = [*manifest.notes, *_notes(manifest, precision, dynamic=dynamic)]
    return msgspec.structs.replace(made, parity=checks, paid=paid, notes=notes)


def _convert(name: str, form: Form, manifest: Manifest, folder: Path, precision: str) -> Form:
    path = folder / form.record.file
    model = ir.load(path)
    ir.external_data.load_to_model(model)
    if precision == "int8":
        to_int8(model, dynamic=name in _WHOLE and (name != "model" or takes_chunks(form)))
    else:
        _halve(model, form.record.file)
    model.metadata_props["rnnport.precision"] = precision
    counts = count_ops(model)
    layers = msgspec.json.encode(_layers(manifest.layers, counts)).decode()
    model.metadata_props["rnnport.layers"] = layers
    drop_form(folder, form.record.file)
    data = write_onnx(model, path)
    return msgspec.structs.replace(
        form,
        record=record(path),
        data=[record(d) for d in data],
        op_counts=counts,
        step_weights=step_weights(model),
    )


def _halve(model: ir.Model, file: str) -> None:
    try:
        to_float16(model)
    except TooLarge as error:
        raise UnsupportedModel.of(
            f"precision float16, {file}",
            str(error),
            "weights that float16 holds, and masks that it can keep",
            "leave precision out",
        ) from error


def _layers(layers: Sequence[LayerReport], counts: Mapping[str, int]) -> list[LayerReport]:
    """LSTMs run on another operator, where none is left on their own."""
    if counts.get("LSTM") or not counts.get("DynamicQuantizeLSTM"):
        return list(layers)
    return [
        msgspec.structs.replace(x, lowering=x.lowering.replace("LSTM", "DynamicQuantizeLSTM"))
        if x.lowering.startswith("LSTM")
        else x
        for x in layers
    ]


def _subject(manifest: Manifest, cases: Sequence[GoldenCase], folder: Path) -> Subject:
    """On the CPU, which `load` refuses for float16: there it is right, and slow."""
    artifact = Artifact.of(folder, manifest)
    session = open_session(artifact.forms["model"], "cpu")
    return Subject(artifact, Runner(artifact, session, "cpu"), cases)


def _notes(manifest: Manifest, precision: str, *, dynamic: bool) -> list[str]:
    proof = f"{precision}: made from float32 graphs that passed {len(manifest.parity)} checks"
    notes = [f"{proof}; the checks listed are those of {precision}, held to its budget"]
    if precision == "float16":
        notes.append(_UNMEASURED)
    if dynamic:
        notes.append(_SHARED)
    return notes


def _too_dear(manifest: Manifest, checks: Sequence[Check]) -> ParityError:
    failed = [check for check in checks if not check.passed]
    return ParityError(
        *(
            Reason(
                f"model {manifest.name!r} in {manifest.precision}, {check.name}, "
                f"output {check.output!r}",
                _received(check),
                f"at most {check.bound:.3g}",
                "leave precision out; verify=False writes the artifact all the same",
            )
            for check in failed[:8]
        )
    )


def _received(check: Check) -> str:
    return check.note if check.error is None else f"{check.error:.3g}, {check.note}".rstrip(", ")
