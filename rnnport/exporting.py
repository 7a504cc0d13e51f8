"""Export, from model to folder: capture → skeleton → forms → artifact, with the proof.

Dynamic axes are tried first; where TensorFlow, tf2onnx or the comparison refuses them, axes that
the model itself declares fixed are held, and the manifest names who is to blame.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from rnnport.artifact.golden import GOLDEN_FILE, GoldenCase, write_golden
from rnnport.artifact.load import Artifact
from rnnport.artifact.manifest import record
from rnnport.artifact.save import Draft, staging
from rnnport.capture.axes import AxisPlan, declared_plan, find_axes, fixed_plan
from rnnport.capture.cases import golden_cases, output_ports
from rnnport.capture.open import open_source
from rnnport.capture.reference import Reference
from rnnport.capture.skeleton import build_skeleton
from rnnport.capture.source import Source
from rnnport.capture.trace import Trace, input_sampling, trace
from rnnport.errors import ConversionError, ParityError, Reason, RnnportError
from rnnport.graph.finish import count_ops, describe, write_onnx
from rnnport.graph.lower import lower
from rnnport.parity.tolerance import TOLERANCES
from rnnport.parity.verify import check_golden
from rnnport.runtime.session import open_session
from rnnport.spec import (
    Check,
    FixedAxis,
    Form,
    LayerReport,
    Manifest,
    Port,
    Sampling,
    Streamable,
)
from rnnport.versions import VERSION, library_versions

__all__ = ["Progress", "Settings", "run_export"]

Progress = Callable[[str, float], None]

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


@dataclass(frozen=True)
class Settings:
    """What export was asked for, checked."""

    name: str | None
    target: str
    opset: int
    overwrite: bool
    verify: bool
    custom_objects: Mapping[str, Any] | None
    input_signature: Any


@dataclass(frozen=True, eq=False)
class _Attempt:
    """One way to make the axes dynamic: the shapes traced with, and those claimed."""

    plan: AxisPlan
    trace_shapes: list[list[int | None]]


@dataclass(frozen=True, eq=False)
class _Built:
    """A graph in the draft folder and the evidence for it."""

    plan: AxisPlan
    traced: Trace
    form: Form
    layers: list[LayerReport]
    cases: list[GoldenCase]
    checks: list[Check]
    notes: list[str]

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)


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
        )
        progress("tracing", 0.1)
        source, sampling, first = _first_trace(source)
        progress("finding dynamic axes", 0.25)
        reference = Reference(source)
        plan = find_axes(source, sampling, reference)
        built = _best(source, sampling, plan, first, reference, draft, settings, progress)
        if settings.verify and not built.passed:
            raise _parity_error(source, built.checks)
        progress("saving", 0.95)
        write_golden(draft.folder / GOLDEN_FILE, built.cases)
        artifact = draft.commit(_manifest(source, built, draft, settings))
        progress("done", 1.0)
        return artifact


def _first_trace(source: Source) -> tuple[Source, dict[str, Sampling], Trace | None]:
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


def _best(
    source: Source,
    sampling: Mapping[str, Sampling],
    plan: AxisPlan,
    first: Trace | None,
    reference: Reference,
    draft: Draft,
    settings: Settings,
    progress: Progress,
) -> _Built:
    """The first attempt whose graph equals TensorFlow, else the last one that could be built."""
    built: _Built | None = None
    failure: RnnportError | None = None
    for attempt in _attempts(source, sampling, plan, lambda: _blame(built, failure)):
        try:
            reuse = (
                first if first is not None and _shapes_of(first) == attempt.trace_shapes else None
            )
            built = _build(source, attempt, reuse, reference, draft, settings, progress)
        except ConversionError as error:
            failure = failure or error
            continue
        if built.passed:
            return built
    if built is not None:
        return built
    assert failure is not None
    raise failure


def _shapes_of(traced: Trace) -> list[list[int | None]]:
    return [list(p.shape) for p in traced.placeholders]


def _attempts(
    source: Source,
    sampling: Mapping[str, Sampling],
    plan: AxisPlan,
    blame: Callable[[], tuple[str, str]],
) -> Iterator[_Attempt]:
    """All axes dynamic; traced at one length but claimed dynamic; held as the model declares."""
    yield _Attempt(plan, plan.shapes)
    if any(letter != "B" for letter in plan.sizes):
        yield _Attempt(plan, _at_sizes(plan))
    stricter: AxisPlan | None = plan
    while stricter is not None:
        stricter = fixed_plan(source, sampling, stricter, *blame())
        if stricter is not None:
            yield _Attempt(stricter, stricter.shapes)
    held = _held_at_sizes(source, plan, blame())
    yield _Attempt(held, held.shapes)


def _at_sizes(plan: AxisPlan) -> list[list[int | None]]:
    """Times at the sizes that ran, batch dynamic: for Python loops over the steps."""
    return [
        [None if a == "B" else plan.sizes[a] if isinstance(a, str) else a for a in p.shape]
        for p in plan.ports
    ]


def _held_at_sizes(source: Source, plan: AxisPlan, blame: tuple[str, str]) -> AxisPlan:
    """Times fixed at sizes that ran, for a model that declares none and cannot be traced."""
    ports, fixed = [], list(plan.fixed)
    for port in plan.ports:
        shape: list[int | str] = []
        for axis, size in enumerate(port.shape):
            if isinstance(size, str) and size != "B":
                declared = next(i for i in source.inputs if i.name == port.name).shape[axis]
                held = declared if declared is not None else plan.sizes[size]
                fixed.append(
                    FixedAxis(
                        input=port.name, axis=axis, size=held, layer=blame[0], reason=blame[1]
                    )
                )
                shape.append(held)
            else:
                shape.append(size)
        ports.append(msgspec.structs.replace(port, shape=shape))
    sizes = {k: v for k, v in plan.sizes.items() if k == "B"}
    return AxisPlan(tuple(ports), sizes, tuple(fixed))


def _blame(built: _Built | None, failure: RnnportError | None) -> tuple[str, str]:
    if failure is not None:
        reason = failure.reasons[0]
        layer = reason.subject.split("layer ")[-1].strip("'") if "layer " in reason.subject else ""
        return layer, reason.received[:200]
    if built is None:
        return "", ""
    worst = next((c for c in built.checks if not c.passed), None)
    return "", f"at other sizes: {worst.name}: {worst.note or worst.error}" if worst else ""


def _build(
    source: Source,
    attempt: _Attempt,
    traced: Trace | None,
    reference: Reference,
    draft: Draft,
    settings: Settings,
    progress: Progress,
) -> _Built:
    plan = attempt.plan
    progress("converting", 0.4)
    traced = traced if traced is not None else trace(source, attempt.trace_shapes)
    skeleton = build_skeleton(traced, plan.ports, settings.opset)
    progress("lowering", 0.6)
    layers = lower(skeleton, settings.target)
    layers += [
        LayerReport(name=o.name, kind=o.kind, units=[], lowering="tf2onnx", reason=o.reason)
        for o in traced.context.opaque
    ]
    progress("running TensorFlow", 0.65)
    cases, sizes, notes = golden_cases(plan, reference, traced.output_names)
    if not cases:
        raise ConversionError.of(
            f"model {source.name!r}", "; ".join(notes), "a model that runs", "run it once yourself"
        )
    outputs = output_ports(traced.output_names, traced.output_shapes, cases, sizes)
    facts = _facts(source, plan.ports, outputs, layers, settings)
    describe(skeleton.model, plan.ports, outputs, facts, VERSION)
    path = draft.folder / "model.onnx"
    data = write_onnx(skeleton.model, path)
    form = Form(
        record=record(path),
        data=[record(d) for d in data],
        inputs=list(plan.ports),
        outputs=outputs,
        op_counts=count_ops(skeleton.model),
    )
    progress("comparing with TensorFlow", 0.8)
    checks = _check(draft, form, cases)
    return _Built(plan, traced, form, layers, cases, checks, notes)


def _check(draft: Draft, form: Form, cases: Sequence[GoldenCase]) -> list[Check]:
    """Run the written graph on the golden cases, on CPU."""
    names = [p.name for p in form.outputs]
    try:
        session = open_session(draft.folder / form.record.file, provider="cpu")
    except Exception as error:
        raise ConversionError.of(
            "model.onnx",
            f"onnxruntime refused it: {str(error)[:300]}",
            "a graph onnxruntime loads",
            "report it with the model",
        ) from error

    def run(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return check_golden(cases, run, names, TOLERANCES["cpu"])


def _facts(
    source: Source,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    layers: Sequence[LayerReport],
    settings: Settings,
) -> dict[str, str]:
    def text(value: Any) -> str:
        return msgspec.json.encode(value).decode()

    return {
        "rnnport.version": VERSION,
        "rnnport.name": settings.name or source.name,
        "rnnport.source": source.kind,
        "rnnport.target": settings.target,
        "rnnport.inputs": text(inputs),
        "rnnport.outputs": text(outputs),
        "rnnport.layers": text(layers),
    }


def _manifest(source: Source, built: _Built, draft: Draft, settings: Settings) -> Manifest:
    versions = library_versions(*_LIBRARIES)
    return Manifest(
        name=settings.name or source.name,
        versions=versions,
        source={"kind": source.kind, "framework": f"keras {versions.get('keras', '')}".strip()},
        target=settings.target,
        opset=settings.opset,
        forms={"model": built.form},
        input_structure=source.structure,
        output_structure=built.traced.structure,
        golden=record(draft.folder / GOLDEN_FILE),
        layers=built.layers,
        fixed_axes=list(built.plan.fixed),
        streamable=Streamable(ok=False, reason="this version of rnnport writes no stream form yet"),
        notes=_notes(source, built),
        parity=built.checks,
    )


def _notes(source: Source, built: _Built) -> list[str]:
    notes = list(built.notes)
    if not built.layers:
        notes.append("no recurrent layer was found; everything was converted by tf2onnx")
    if getattr(source.layer, "stateful", False) or _has_stateful(source.layer):
        notes.append("stateful layers start from zero state in model.onnx")
    if not built.passed:
        failed = [c.name for c in built.checks if not c.passed]
        notes.append(f"parity checks failed at export: {', '.join(failed)}")
    return notes


def _has_stateful(layer: Any) -> bool:
    flatten = getattr(layer, "_flatten_layers", None)
    return flatten is not None and any(getattr(inner, "stateful", False) for inner in flatten())


def _parity_error(source: Source, checks: Sequence[Check]) -> ParityError:
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
