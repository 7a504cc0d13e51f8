"""Export, from model to folder: capture → skeleton → forms → artifact, with the proof."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnnport.artifact.golden import GOLDEN_FILE, write_golden
from rnnport.artifact.load import Artifact
from rnnport.artifact.manifest import record
from rnnport.artifact.save import Draft, staging
from rnnport.building import Built, Settings, best_build
from rnnport.capture.axes import declared_plan, find_axes
from rnnport.capture.open import open_source
from rnnport.capture.policy import own_outputs, policy_note
from rnnport.capture.reference import Reference
from rnnport.capture.refuse import refuse_dtypes
from rnnport.capture.source import Source
from rnnport.capture.trace import Trace, input_sampling, trace
from rnnport.errors import ConversionError, ParityError, Reason
from rnnport.evidence import gather
from rnnport.handoff_forms import HandOff, build_handoff
from rnnport.precision import in_precision
from rnnport.progress import Progress
from rnnport.spec import Check, Manifest, Sampling
from rnnport.stream_form import Stream, build_stream
from rnnport.versions import library_versions

__all__ = ["Settings", "first_trace", "manifest_of", "parity_error", "run_export"]

_LIBRARIES = (
    "tensorflow",
    "keras",
    "tf2onnx",
    "onnx",
    "onnx-ir",
    "onnxruntime-gpu",
    "onnxruntime",
    "numpy",
)


def run_export(
    model: Any, out: str | os.PathLike[str], settings: Settings, progress: Progress
) -> Artifact:
    """Export `model` to the folder `out`; see `rnnport.export`."""
    with staging(out, overwrite=settings.overwrite) as draft:
        progress("opening the model", 0.0)
        source = open_source(
            model,
            custom_objects=settings.custom_objects,
            input_signature=settings.input_signature,
            checkpoint=settings.checkpoint,
            states=settings.states,
            source_format=settings.source_format,
        )
        refuse_dtypes(source)
        progress("tracing", 0.1)
        source, sampling, first = first_trace(source)
        progress("finding dynamic axes", 0.25)
        reference = Reference(source)
        plan = find_axes(source, sampling, reference)
        built = best_build(
            source, sampling, plan, first, reference, draft.folder, settings, progress
        )
        progress("gathering evidence", 0.8)
        built = gather(source, built, reference, draft.folder)
        if settings.verify and not built.passed:
            raise parity_error(source, built.checks)
        progress("streaming", 0.85)
        stream = build_stream(source, built, reference, draft.folder, settings)
        handoff = build_handoff(source, built, draft.folder, settings)
        if settings.verify and not all(check.passed for check in handoff.checks):
            raise parity_error(source, handoff.checks)
        progress("saving", 0.95)
        write_golden(draft.folder / GOLDEN_FILE, built.cases)
        manifest = manifest_of(source, built, stream, handoff, draft, settings)
        artifact = draft.commit(in_precision(manifest, built.cases, draft.folder, settings))
        progress("done", 1.0)
        return artifact


def first_trace(source: Source) -> tuple[Source, dict[str, Sampling], Trace | None]:
    """Trace to learn what the inputs mean; corrects dtypes nobody declared."""
    unknown = {i.name: Sampling() for i in source.inputs}
    traced = _try_trace(source, declared_plan(source, unknown).shapes)
    if traced is None:
        declared = [
            [6 if s is None and n else s for n, s in enumerate(i.shape)] for i in source.inputs
        ]
        traced = trace(source, declared)
        sampling = input_sampling(source, traced)
        return source.with_integer_inputs(_ids(sampling)), sampling, None
    sampling = input_sampling(source, traced)
    corrected = source.with_integer_inputs(_ids(sampling))
    return corrected, sampling, traced if corrected.inputs == source.inputs else None


def _ids(sampling: Mapping[str, Sampling]) -> set[str]:
    return {name for name, hint in sampling.items() if hint.kind == "ids"}


def _try_trace(source: Source, shapes: list[list[int | None]]) -> Trace | None:
    try:
        return trace(source, shapes)
    except ConversionError:
        return None


def manifest_of(
    source: Source,
    built: Built,
    stream: Stream,
    handoff: HandOff,
    draft: Draft,
    settings: Settings,
) -> Manifest:
    """What rnnport.json will say."""
    keras2 = ("tf-keras",) if source.framework.startswith("tf_keras") else ()
    versions = library_versions(*_LIBRARIES, *keras2)
    forms = {"model": built.form}
    if stream.form is not None:
        forms["stream"] = stream.form
    forms.update(handoff.forms)
    return Manifest(
        name=settings.name or source.name,
        versions=versions,
        source={"kind": source.kind, "framework": _framework(source, versions)},
        target=settings.target,
        opset=settings.opset,
        forms=forms,
        input_structure=source.structure,
        output_structure=built.traced.structure,
        golden=record(draft.folder / GOLDEN_FILE),
        layers=built.layers,
        fixed_axes=list(built.plan.fixed),
        streamable=stream.verdict,
        handoff=handoff.verdict,
        generate=settings.generate,
        notes=_notes(source, built),
        conditioning=built.conditioning,
        parity=[*built.checks, *stream.checks, *handoff.checks],
        mixes_rows=built.mixes_rows,
    )


def _framework(source: Source, versions: Mapping[str, str]) -> str:
    if source.framework:
        return source.framework
    graph = source.graph is not None or source.kind == "SavedModel"
    name = "tensorflow" if graph else "keras"
    return f"{name} {versions.get(name, '')}".strip()


def _notes(source: Source, built: Built) -> list[str]:
    # Those of a graph speak of layers nobody found; those of Keras's files of what was mended.
    spoken = source.notes if source.framework or not built.layers else ()
    notes = [*spoken, *built.notes]
    if source.graph is not None:
        notes += source.graph.code.notes
    if not built.layers and (source.framework or not source.notes):
        notes.append("no recurrent layer was found; everything was converted by tf2onnx")
    if getattr(source.layer, "stateful", False) or _has_stateful(source.layer):
        notes.append("stateful layers start from zero state in model.onnx")
    if source.original is not None:
        notes.append(policy_note(source.policies, _policy_differences(source, built)))
    notes += [
        f"output {name!r} is ill-conditioned on random inputs: last bits of the weights move it by "
        f"{move:.1e}, so that it was held to that; compare it on inputs of your own"
        for name, move in built.conditioning.items()
    ]
    if not built.passed:
        failed = [c.name for c in built.checks if not c.passed]
        notes.append(f"parity checks failed at export: {', '.join(failed)}")
    return notes


def _policy_differences(source: Source, built: Built) -> list[float] | None:
    """How far a model under other policies is from itself in float32, on the first golden case."""
    case = built.cases[0]
    assert source.original is not None
    try:
        own = own_outputs(source.original, [case.inputs[i.name] for i in source.inputs])
    except Exception:  # float16 kernels are missing here and there
        return None
    return [
        float(np.abs(mine - theirs).max(initial=0.0)) / max(1.0, float(np.abs(theirs).max()))
        for mine, theirs in zip(own, case.outputs.values(), strict=True)
    ]


def _has_stateful(layer: Any) -> bool:
    flatten = getattr(layer, "_flatten_layers", None)
    return flatten is not None and any(getattr(inner, "stateful", False) for inner in flatten())


def parity_error(source: Source, checks: Sequence[Check]) -> ParityError:
    """The error that lists failed checks."""
    failed = [c for c in checks if not c.passed]
    return ParityError(
        *(
            Reason(
                f"model {source.name!r}, {check.name}, output {check.output!r}",
                check.note or f"a difference of {check.error:.3g}",
                f"at most {check.bound:.3g}",
                "report it with the model; verify=False writes the artifact all the same",
            )
            for check in failed[:8]
        )
    )
