"""Encoder and decoder forms of two models: each against its own model, and both step by step.

The decoder's states are inputs and outputs of the model already, so nothing is lifted: what is
written computes what Keras computes when the two are run one after another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import onnx_ir as ir

from rnnport.building import Built, Settings, best_build, refused, write_form
from rnnport.capture.axes import AxisPlan
from rnnport.capture.pair import decoder_half, encoder_half
from rnnport.capture.reference import Reference
from rnnport.capture.source import Source
from rnnport.errors import UnsupportedModel
from rnnport.generate_form import build_generate
from rnnport.graph.lower import lower
from rnnport.handoff_forms import DECODER_FILE, ENCODER_FILE, HandOff, with_padding
from rnnport.pair_names import Names
from rnnport.pair_study import Half
from rnnport.parity.handoff import handoff_cuts
from rnnport.parity.stepwise import Halves, check_steps
from rnnport.parity.streaming import check_streaming
from rnnport.parity.subject import Run, run_form
from rnnport.progress import Progress
from rnnport.spec import Axis, Check, Form, Port, State, Streamable
from rnnport.stream_form import describe_stream

__all__ = ["Workshop", "build_pair_forms"]


@dataclass(frozen=True, eq=False)
class Workshop:
    """What building needs beside the models: the folder, the wishes, and who is told."""

    folder: Path
    settings: Settings
    progress: Progress


@dataclass(frozen=True, eq=False)
class _Side:
    """One half, written.

    Attributes:
        source: with the ports of its graph.
        built: as a plain function.
        model: the lowered graph.
        form: what is in the file.
    """

    source: Source
    built: Built
    model: ir.Model
    form: Form


def build_pair_forms(
    encoder: Half, decoder: Half, names: Names, whole: Built, shop: Workshop
) -> tuple[HandOff, list[str]]:
    """Build, write and prove both halves, and generate.onnx where it is wanted.

    Args:
        encoder: as it was studied.
        decoder: likewise.
        names: of all tensors.
        whole: model.onnx, one run after the other.
        shop: where and how.

    Returns:
        The forms with their checks, and notes for the reader.

    Raises:
        UsageError: generate asks for what the decoder cannot do.
        UnsupportedModel: a decoder that reads whole sequences and gives no states.
    """
    first = _encoder(encoder, names, whole, shop)
    second, chunks, notes = _decoder(decoder, names, whole, first, shop)
    checks = [*_of("encoder", first.built.checks), *_of("decoder", second.built.checks)]
    checks += [*_steps(first, second, shop.folder), *chunks]
    forms = {"encoder": _padding(first, second, shop.folder), "decoder": second.form}
    wish = shop.settings.generate
    if wish is not None:
        halves = (first.model, first.form), (second.model, second.form)
        forms["generate"], more = build_generate(wish, *halves, whole, shop.folder)
        checks += more
    return HandOff(Streamable(ok=True), forms, checks), notes


def _of(side: str, checks: Sequence[Check]) -> list[Check]:
    return [msgspec.structs.replace(check, name=f"{side}, {check.name}") for check in checks]


def _encoder(half: Half, names: Names, whole: Built, shop: Workshop) -> _Side:
    source = encoder_half(half.source, names.encoder_outputs)
    built = _built(source, half, half.plan, ENCODER_FILE, shop)
    pinned = _pinned(built.plan.ports, whole.plan.ports)

    def border(port: Port) -> Port:
        shape = [_source_letter(pinned.get(a, a)) for a in port.shape]
        return msgspec.structs.replace(port, shape=shape)

    inputs, outputs = [*map(border, built.form.inputs)], [*map(border, built.form.outputs)]
    return _written(source, built, inputs, outputs, [], [], ENCODER_FILE, shop)


def _pinned(ports: Sequence[Port], whole: Sequence[Port]) -> dict[Axis, Axis]:
    """Letters of the encoder that are sizes where the decoder takes part."""
    return {
        letter: size
        for port, other in zip(ports, whole, strict=False)
        for letter, size in zip(port.shape, other.shape, strict=True)
        if isinstance(letter, str) and isinstance(size, int)
    }


def _source_letter(axis: Axis) -> Axis:
    """T, T2 … of the source become S, S2 …: T is the decoder's time."""
    return f"S{axis[1:]}" if isinstance(axis, str) and axis[0] == "T" else axis


def _decoder(
    half: Half, names: Names, whole: Built, encoder: _Side, shop: Workshop
) -> tuple[_Side, list[Check], list[str]]:
    """With an open time axis where chunks and steps agree, else one step at a time."""
    source = decoder_half(half.source, names.decoder_inputs, names.decoder_outputs)
    plan = _reordered(half.plan, names)
    held = _held(plan, [name for _, name in names.own])
    if held is not plan:
        side = _decoder_side(source, half, plan, names, encoder, shop)
        checks = _chunks(whole, encoder.form, side.form, shop.folder)
        failed = next((check for check in checks if not check.passed), None)
        if side.built.passed and failed is None:
            return side, checks, []
        if side.built.passed and not names.states:
            raise _no_states(half.source, side.form)
    side = _decoder_side(source, half, held, names, encoder, shop)
    return side, [], ["decoder.onnx takes one step at a time"]


def _no_states(source: Source, form: Form) -> UnsupportedModel:
    return UnsupportedModel.of(
        f"decoder {source.name!r}",
        f"outputs {', '.join(port.name for port in form.outputs)}, none of them a next state, "
        "and steps do not add up to the whole sequence",
        "a decoder that gives its next states behind its first output",
        'return them; pass states={"decoder input": "decoder output"} where they were not found',
    )


def _decoder_side(
    source: Source, half: Half, plan: AxisPlan, names: Names, encoder: _Side, shop: Workshop
) -> _Side:
    built = _built(source, half, plan, DECODER_FILE, shop)
    letters = _letters(built.plan.ports, names, encoder.form)

    def border(port: Port) -> Port:
        shape = [letters.get(a, _source_letter(a)) for a in port.shape]
        return msgspec.structs.replace(port, shape=shape)

    inputs, outputs = [*map(border, built.form.inputs)], [*map(border, built.form.outputs)]
    free, count = len(inputs) - len(names.states), len(names.plain)
    model_name = dict(enumerate(names.outputs))
    states = [
        State(
            input=named.input,
            output=named.output,
            dtype=port.dtype,
            shape=port.shape,
            start=named.start,
            end="" if named.link.output in (None, 0) else model_name[named.link.output],
        )
        for named, port in zip(names.states, inputs[free:], strict=True)
    ]
    fixed = [named.input for named in names.context]
    return _written(
        source, built, inputs[:free], outputs[:count], states, fixed, DECODER_FILE, shop
    )


def _letters(ports: Sequence[Port], names: Names, encoder: Form) -> dict[Axis, Axis]:
    """The decoder's own time is T; what it is handed has the encoder's letters."""
    given = {port.name: port for port in encoder.outputs}
    starts = {named.input: named.start for named in (*names.states, *names.context)}
    found: dict[Axis, Axis] = {"B": "B"}
    for port in ports:
        other = given.get(starts.get(port.name, ""))
        ours: Sequence[Axis] = other.shape if other is not None else ["T"] * len(port.shape)
        if other is None and port.name in starts:
            continue
        for letter, axis in zip(port.shape, ours, strict=True):
            if isinstance(letter, str):
                found.setdefault(letter, axis)
    return found


def _reordered(plan: AxisPlan, names: Names) -> AxisPlan:
    """The decoder's plan with the ports of its graph."""
    order = names.decoder_inputs
    renamed = {plan.ports[index].name: name for index, name in order}
    ports = [msgspec.structs.replace(plan.ports[index], name=name) for index, name in order]
    fixed = [msgspec.structs.replace(f, input=renamed[f.input]) for f in plan.fixed]
    return AxisPlan(tuple(ports), plan.sizes, tuple(fixed))


def _held(plan: AxisPlan, own: Sequence[str]) -> AxisPlan:
    """The plan with the decoder's own time axes of length 1; the plan itself where it has none."""
    if not any(port.has_time for port in plan.ports if port.name in own):
        return plan
    ports = [
        msgspec.structs.replace(
            port, shape=[1 if isinstance(a, str) and a[0] == "T" else a for a in port.shape]
        )
        if port.name in own
        else port
        for port in plan.ports
    ]
    left = {axis for port in ports for axis in port.shape}
    return replace(
        plan, ports=tuple(ports), sizes={a: n for a, n in plan.sizes.items() if a in left}
    )


def _built(source: Source, half: Half, plan: AxisPlan, file: str, shop: Workshop) -> Built:
    sampling = {port.name: port.sampling for port in plan.ports if port.sampling is not None}
    return best_build(
        source,
        sampling,
        plan,
        None,
        Reference(source),
        shop.folder,
        shop.settings,
        lambda stage, fraction: None,
        file=file,
    )


def _written(
    source: Source,
    built: Built,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    states: Sequence[State],
    fixed: Sequence[str],
    file: str,
    shop: Workshop,
) -> _Side:
    """The file again, with states and letters in its border."""
    skeleton = built.skeleton.copy()
    lower(skeleton, shop.settings.target)
    model = skeleton.model
    describe_stream(model, inputs, outputs, states, source, built.layers, shop.settings)
    form = write_form(model, shop.folder / file, inputs, outputs, states=states, fixed=fixed)
    return _Side(source, built, model, form)


def _chunks(whole: Built, encoder: Form, decoder: Form, folder: Path) -> list[Check]:
    """Chunks and single steps of the decoder against model.onnx."""
    try:
        run_encoder, run_whole, run_decoder = (
            run_form(folder / form.record.file, form) for form in (encoder, whole.form, decoder)
        )
        found = handoff_cuts(
            whole.form,
            encoder,
            decoder,
            run_encoder,
            sizes=whole.plan.sizes,
            # Keras gives zeros where a sequence opens with a masked step: chunks and steps differ.
            mask_targets=False,
        )
    except Exception as error:  # onnxruntime raises many types
        return [refused("hand-off", error)]
    return check_streaming(whole.form, decoder, run_whole, run_decoder, found)


def _padding(encoder: _Side, decoder: _Side, folder: Path) -> Form:
    """The encoder's form, with the letters that may be padded."""
    sizes = {str(_source_letter(a)): size for a, size in encoder.built.plan.sizes.items()}
    return with_padding(encoder.form, decoder.form, sizes, folder)


def _steps(encoder: _Side, decoder: _Side, folder: Path) -> list[Check]:
    """Both graphs step by step against both models in TensorFlow."""
    try:
        received = tuple(run_form(folder / s.form.record.file, s.form) for s in (encoder, decoder))
    except Exception as error:  # onnxruntime raises many types
        return [refused("steps", error)]
    expected = _reference(encoder), _reference(decoder)
    sizes = {str(_source_letter(a)): size for a, size in encoder.built.plan.sizes.items()}
    halves: Halves = received[0], received[1]
    return check_steps(encoder.form, decoder.form, expected, halves, sizes=sizes)


def _reference(side: _Side) -> Run:
    reference = Reference(side.source)
    names = [*(p.name for p in side.form.outputs), *(s.output for s in side.form.states)]

    def run(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return dict(zip(names, reference(inputs), strict=True))

    return run
