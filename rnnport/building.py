"""One graph from one source: attempts at dynamic axes, lowering, and the evidence.

Dynamic axes are tried first; where TensorFlow, tf2onnx or the comparison refuses them, axes that
the model itself declares fixed are held, and the manifest names who is to blame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import onnx
import onnx_ir as ir

from rnnport.artifact.golden import GoldenCase
from rnnport.artifact.manifest import record
from rnnport.capture.axes import AxisPlan, fixed_plan
from rnnport.capture.cases import golden_cases, output_ports
from rnnport.capture.reference import Reference
from rnnport.capture.skeleton import build_skeleton
from rnnport.capture.source import Source
from rnnport.capture.trace import Trace, trace
from rnnport.conditioning import conditioning
from rnnport.errors import ConversionError, RnnportError
from rnnport.graph.finish import count_ops, describe, write_onnx
from rnnport.graph.lower import lower
from rnnport.graph.skeleton import Skeleton
from rnnport.graph.step_weights import step_weights
from rnnport.parity.checks.golden import check_golden
from rnnport.parity.subject import run_form
from rnnport.parity.tolerance import TOLERANCES
from rnnport.progress import Progress
from rnnport.spec import Check, FixedAxis, Form, Generate, LayerReport, Port, Sampling, State
from rnnport.versions import VERSION

__all__ = [
    "MODEL_FILE",
    "Built",
    "Settings",
    "best_build",
    "drop_form",
    "graph_facts",
    "refused",
    "write_form",
]

MODEL_FILE = "model.onnx"

_Answers = tuple[list[GoldenCase], list[dict[str, int]], list[str]]


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
    decoder_inputs: Sequence[str] | None = None
    generate: Generate | None = None
    checkpoint: Any = None
    states: Mapping[str, str] | None = None
    source_format: str | None = None
    precision: str = "float32"


@dataclass(frozen=True, eq=False)
class _Attempt:
    """One way to make the axes dynamic: the shapes traced with, and those claimed."""

    plan: AxisPlan
    trace_shapes: list[list[int | None]]


@dataclass(frozen=True, eq=False)
class Built:
    """A graph in the draft folder and the evidence for it.

    Attributes:
        plan: dynamic axes.
        traced: the trace.
        skeleton: not lowered.
        form: the file and its ports.
        layers: how each recurrent layer was lowered.
        cases: golden cases.
        checks: the graph against TensorFlow on them.
        notes: what the reader should know.
        conditioning: as in Manifest.
        mixes_rows: as in Manifest.
    """

    plan: AxisPlan
    traced: Trace
    skeleton: Skeleton
    form: Form
    layers: list[LayerReport]
    cases: list[GoldenCase]
    checks: list[Check]
    notes: list[str]
    conditioning: dict[str, float] = field(default_factory=dict)
    mixes_rows: bool = False

    @property
    def passed(self) -> bool:
        """Whether every check of the graph passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)


class _Golden:
    """TensorFlow's answers; attempts that share a plan share them."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._known: list[tuple[AxisPlan, Sequence[str], _Answers]] = []

    def of(self, plan: AxisPlan, names: Sequence[str]) -> _Answers:
        """The golden cases of a plan, the axis sizes of each, and notes on sizes refused."""
        for known, known_names, answers in self._known:
            if known is plan and known_names == names:
                return answers
        answers = golden_cases(plan, self._reference, names)
        self._known.append((plan, names, answers))
        return answers


class _Blame:
    """Why the last attempt failed: the layer, where known, and the reason."""

    def __init__(self) -> None:
        self.layer = ""
        self.reason = ""
        self.error: RnnportError | None = None

    def conversion(self, error: ConversionError) -> None:
        """TensorFlow or tf2onnx failed."""
        self.error = self.error or error
        subject = error.reasons[0].subject
        self.layer = subject.split("layer ")[-1].strip("'") if "layer " in subject else ""
        self.reason = error.reasons[0].received[:200]

    def comparison(self, checks: Sequence[Check]) -> None:
        """ONNX and TensorFlow differ."""
        failed = next((c for c in checks if not c.passed), None)
        if failed is not None:
            self.layer = ""
            self.reason = f"ONNX differs at other sizes: {failed.name}: {failed.note}".strip(": ")


def best_build(
    source: Source,
    sampling: Mapping[str, Sampling],
    plan: AxisPlan,
    first: Trace | None,
    reference: Reference,
    folder: Path,
    settings: Settings,
    progress: Progress,
    *,
    file: str = MODEL_FILE,
) -> Built:
    """The first attempt whose graph equals TensorFlow, else the last one that could be built.

    Args:
        source: the model.
        sampling: hints for drawing inputs.
        plan: which axes TensorFlow lets vary.
        first: a trace already made, reused where its shapes fit.
        reference: the model in TensorFlow.
        folder: receives the file.
        settings: what was asked for.
        progress: told of the stages.
        file: its name.

    Raises:
        ConversionError: no attempt gave a graph.
    """
    built: Built | None = None
    blame, golden = _Blame(), _Golden(reference)
    for attempt in _attempts(source, sampling, plan, blame):
        reuse = first if first is not None and _shapes_of(first) == attempt.trace_shapes else None
        try:
            built = _build(source, attempt, reuse, golden, folder / file, settings, progress)
        except ConversionError as error:
            blame.conversion(error)
            continue
        if built.passed:
            return built
        blame.comparison(built.checks)
    if built is not None:
        return built
    assert blame.error is not None
    raise blame.error


def _shapes_of(traced: Trace) -> list[list[int | None]]:
    return [p.shape.as_list() for p in traced.placeholders]


def _attempts(
    source: Source,
    sampling: Mapping[str, Sampling],
    plan: AxisPlan,
    blame: _Blame,
) -> Iterator[_Attempt]:
    """All axes dynamic; traced at one length but claimed dynamic; held as the model declares."""
    yield _Attempt(plan, plan.shapes)
    if any(letter != "B" for letter in plan.sizes):
        yield _Attempt(plan, _at_sizes(plan))
    stricter: AxisPlan | None = plan
    while stricter is not None:
        stricter = fixed_plan(source, sampling, stricter, blame.layer or source.name, blame.reason)
        if stricter is not None:
            yield _Attempt(stricter, stricter.shapes)
    held = _held_at_sizes(source, plan, blame)
    yield _Attempt(held, held.shapes)


def _at_sizes(plan: AxisPlan) -> list[list[int | None]]:
    """Times at the sizes that ran, batch dynamic: for Python loops over the steps."""
    return [
        [None if a == "B" else plan.sizes[a] if isinstance(a, str) else a for a in p.shape]
        for p in plan.ports
    ]


def _held_at_sizes(source: Source, plan: AxisPlan, blame: _Blame) -> AxisPlan:
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
                        input=port.name,
                        axis=axis,
                        size=held,
                        layer=blame.layer or source.name,
                        reason=blame.reason,
                    )
                )
                shape.append(held)
            else:
                shape.append(size)
        ports.append(msgspec.structs.replace(port, shape=shape))
    sizes = {k: v for k, v in plan.sizes.items() if k == "B"}
    return AxisPlan(tuple(ports), sizes, tuple(fixed))


def _build(
    source: Source,
    attempt: _Attempt,
    traced: Trace | None,
    golden: _Golden,
    path: Path,
    settings: Settings,
    progress: Progress,
) -> Built:
    plan = attempt.plan
    progress("converting", 0.4)
    traced = traced if traced is not None else trace(source, attempt.trace_shapes)
    skeleton = build_skeleton(traced, plan.ports, settings.opset)
    progress("lowering", 0.6)
    unlowered = skeleton.copy()
    layers = lower(skeleton, settings.target)
    layers += [
        LayerReport(
            name=o.name, kind=o.kind, units=list(o.units), lowering=o.lowering, reason=o.reason
        )
        for o in traced.context.opaque
    ]
    progress("running TensorFlow", 0.65)
    cases, sizes, notes = golden.of(plan, traced.output_names)
    if not cases:
        raise ConversionError.of(
            f"model {source.name!r}", "; ".join(notes), "a model that runs", "run it once yourself"
        )
    outputs = output_ports(traced.output_names, traced.output_shapes, cases, sizes)
    facts = graph_facts(source, plan.ports, outputs, layers, settings)
    describe(skeleton.model, plan.ports, outputs, facts, VERSION)
    form = write_form(skeleton.model, path, plan.ports, outputs)
    progress("comparing with TensorFlow", 0.8)
    checks, moves = _check(path.parent, form, cases)
    return Built(plan, traced, unlowered, form, layers, cases, checks, notes, moves)


def _write_graph(model: ir.Model, path: Path) -> list[Path]:
    try:
        return write_onnx(model, path)
    except onnx.checker.ValidationError as error:
        raise ConversionError.of(
            path.name,
            f"a graph ONNX's checker refuses: {' '.join(str(error).split())[:300]}",
            "a valid graph",
            "report it with the model",
        ) from error


def write_form(
    model: ir.Model,
    path: Path,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    *,
    states: Sequence[State] = (),
    fixed: Sequence[str] = (),
) -> Form:
    """Write a finished graph, and say what it is.

    Raises:
        ConversionError: ONNX's checker refuses it.
    """
    data = _write_graph(model, path)
    return Form(
        record=record(path),
        data=[record(d) for d in data],
        inputs=list(inputs),
        outputs=list(outputs),
        states=list(states),
        fixed=list(fixed),
        op_counts=count_ops(model),
        step_weights=step_weights(model),
    )


def drop_form(folder: Path, *files: str) -> None:
    """Remove graphs that were written, or begun, and their data."""
    for file in files:
        for path in (folder / file, folder / f"{file}.data"):
            path.unlink(missing_ok=True)


def refused(name: str, error: Exception) -> Check:
    """The failed check of a graph that onnxruntime does not take."""
    note = f"onnxruntime refused the graph: {' '.join(str(error).split())[:300]}"
    return Check(name=name, output="", error=None, bound=0.0, passed=False, note=note)


def _check(
    folder: Path, form: Form, cases: Sequence[GoldenCase]
) -> tuple[list[Check], dict[str, float]]:
    """Run the written graph on the golden cases, on CPU; where it fails, ask what rounding does."""
    path, names = folder / form.record.file, [p.name for p in form.outputs]
    try:
        run = run_form(path, form)
    except Exception as error:  # onnxruntime's loader raises many types
        return [refused("load", error)], {}
    timed = [p.name for p in form.outputs if p.has_time]
    checks = check_golden(cases, run, names, TOLERANCES["cpu"], None, timed)
    if not any(_near(check) for check in checks):
        return checks, {}
    moves = conditioning(path, form, cases)
    moves = {name: move for name, move in moves.items() if move > TOLERANCES["cpu"]}
    return check_golden(cases, run, names, TOLERANCES["cpu"], moves, timed), moves


def _near(check: Check) -> bool:
    """A difference that rounding might explain."""
    numbers = check.error is not None and bool(check.bound) and not check.note
    return not check.passed and numbers and (check.error or 0.0) < 1e4 * check.bound


def graph_facts(
    source: Source,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    layers: Sequence[LayerReport],
    settings: Settings,
) -> dict[str, str]:
    """What a lone .onnx file tells about itself."""

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
