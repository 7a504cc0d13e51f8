"""Encoder and decoder forms: the model cut at the state hand-off, kept only after the proof.

The encoder run once and the decoder run in chunks and single steps must equal model.onnx
(DESIGN.md, law 5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rnnport.artifact.golden import GoldenCase
from rnnport.building import Built, Settings, drop_form, refused, write_form
from rnnport.capture.cases import output_ports
from rnnport.capture.source import Source
from rnnport.capture.wording import gist
from rnnport.errors import UsageError
from rnnport.generate_form import build_generate
from rnnport.graph.finish import infer_types
from rnnport.graph.lift import CannotLift, lift
from rnnport.graph.lower import lower
from rnnport.graph.skeleton import Skeleton
from rnnport.graph.split import Cannot, Halves, guess_decoder_inputs, split
from rnnport.parity.handoff import handoff_cuts
from rnnport.parity.padding import safe_padding
from rnnport.parity.streaming import check_streaming
from rnnport.parity.subject import run_form
from rnnport.spec import Check, Form, Port, State, Streamable
from rnnport.stream_form import describe_stream, one_time

__all__ = ["DECODER_FILE", "ENCODER_FILE", "HandOff", "build_handoff", "with_padding"]

ENCODER_FILE, DECODER_FILE = "encoder.onnx", "decoder.onnx"


@dataclass(frozen=True, eq=False)
class HandOff:
    """The verdict, and the forms where there are any.

    Attributes:
        verdict: whether the model was cut in two, or why not.
        forms: "encoder" and "decoder", or nothing.
        checks: the proof.
    """

    verdict: Streamable
    forms: Mapping[str, Form]
    checks: Sequence[Check] = ()


def build_handoff(source: Source, built: Built, folder: Path, settings: Settings) -> HandOff:
    """Cut, lift, lower, write and prove.

    Args:
        source: the model.
        built: its whole form, right already.
        folder: receives encoder.onnx and decoder.onnx.
        settings: what was asked for.

    Raises:
        UsageError: decoder inputs were named and the model cannot be cut there.
    """
    try:
        halves, encoder = _cut(source, built, folder, settings)
        decoder = _decoder(halves, encoder, source, built, folder, settings)
    except (Cannot, CannotLift) as error:
        drop_form(folder, ENCODER_FILE, DECODER_FILE)
        return _no(settings, error.reason, error.layer)
    except UsageError:
        raise
    except Exception as error:  # the whole form is right, and must not be lost over its halves
        drop_form(folder, ENCODER_FILE, DECODER_FILE)
        return _no(settings, f"cutting it failed: {type(error).__name__}: {gist(error)}")
    checks = _prove(built, encoder, decoder, folder)
    if all(check.passed for check in checks):
        sizes = {_source_letter(letter): size for letter, size in built.plan.sizes.items()}
        encoder = with_padding(encoder, decoder, sizes, folder)
        forms = {"encoder": encoder, "decoder": decoder}
        if settings.generate is not None:
            forms["generate"], more = build_generate(
                settings.generate,
                (halves.encoder.model, encoder),
                (halves.decoder.model, decoder),
                built,
                folder,
            )
            checks = [*checks, *more]
        return HandOff(Streamable(ok=True), forms, checks)
    drop_form(folder, ENCODER_FILE, DECODER_FILE)
    failed = next(check for check in checks if not check.passed)
    seen = failed.note or f"output {failed.output!r} differs by {failed.error:.2g}"
    reason = f"encoder and decoder do not add up to the model ({seen})"
    if settings.decoder_inputs is None:
        own = ", ".join(halves.decoder_inputs)
        reason += f"; {own} went to the decoder: decoder_inputs= names others"
    return _no(settings, reason, source.name)


def _cut(source: Source, built: Built, folder: Path, settings: Settings) -> tuple[Halves, Form]:
    """Cut where every tensor handed over has the batch as its first axis.

    Others, such as attention heads folded into the batch, are computed again by the decoder:
    beams and finished rows are picked along the first axis.
    """
    names, again = _decoder_inputs(built, settings), set[str]()
    while True:
        halves = split(built.skeleton, names, again)
        encoder = _encoder(halves, source, built, folder, settings)
        first = {port.name: port.shape[:1] for port in encoder.outputs}
        batch = encoder.inputs[0].shape[:1]
        folded = {h.value for h in halves.handed if first[h.name] != batch} - again
        if not folded:
            return halves, encoder
        again |= folded


def _decoder_inputs(built: Built, settings: Settings) -> list[str]:
    if settings.decoder_inputs is None:
        timed = [port.name for port in built.plan.ports if port.has_time]
        return guess_decoder_inputs(built.skeleton, timed)
    names = [port.name for port in built.plan.ports]
    unknown = [name for name in settings.decoder_inputs if name not in names]
    if unknown or not settings.decoder_inputs:
        expected = f"some of the model's inputs: {', '.join(names)}"
        received = f"{', '.join(unknown) or 'none'}"
        raise UsageError.of("decoder_inputs", received, expected, "name inputs of the model")
    return list(settings.decoder_inputs)


def _no(settings: Settings, reason: str, layer: str = "") -> HandOff:
    if settings.generate is not None:
        raise UsageError.of(
            "generate",
            f"{reason}{f' (layer {layer!r})' if layer else ''}",
            "a model whose decoder starts from its encoder's state",
            "leave generate out",
        )
    if settings.decoder_inputs is not None:
        where = f" at layer {layer!r}" if layer else ""
        raise UsageError.of(
            "decoder_inputs",
            f"{', '.join(settings.decoder_inputs)}{where}: {reason}",
            "inputs that only the decoder depends on",
            "name other inputs, or leave decoder_inputs out",
        )
    return HandOff(Streamable(ok=False, reason=reason, layer=layer), {})


def _encoder(
    halves: Halves, source: Source, built: Built, folder: Path, settings: Settings
) -> Form:
    """Written first, so that running it tells which axes of the hand-off vary."""
    lower(halves.encoder, settings.target)
    infer_types(halves.encoder.model)
    inputs = [p for p in built.plan.ports if p.name in halves.encoder_inputs]
    names = [str(v.name) for v in halves.encoder.model.graph.outputs]
    draft = [_unknown(halves.encoder, name) for name in names]
    path = folder / ENCODER_FILE
    form = _write(halves.encoder, path, inputs, draft, [], source, built, settings)
    run = run_form(path, form)
    cases, sizes = _seen(built, inputs, run)
    outputs = output_ports(names, [()] * len(names), cases, sizes)
    inputs, outputs = [*map(_source_time, inputs)], [*map(_source_time, outputs)]
    return _write(halves.encoder, path, inputs, outputs, [], source, built, settings)


def _unknown(skeleton: Skeleton, name: str) -> Port:
    """A port whose shape nobody knows yet."""
    value = next(v for v in skeleton.model.graph.outputs if v.name == name)
    dtype = value.dtype.numpy() if value.dtype is not None else np.dtype(np.float32)
    rank = len(value.shape) if value.shape is not None else 2
    return Port(name=name, dtype=dtype.name, shape=[f"{name}_{i}" for i in range(rank)])


def _seen(
    built: Built, inputs: Sequence[Port], run: Any
) -> tuple[list[GoldenCase], list[dict[str, int]]]:
    """The encoder's outputs on the golden inputs, and the axis sizes of each case."""
    cases, sizes = [], []
    for case in built.cases:
        given = {port.name: case.inputs[port.name] for port in inputs}
        cases.append(GoldenCase(case.name, given, run(given)))
        sizes.append(
            {
                axis: size
                for port in built.plan.ports
                for axis, size in zip(port.shape, case.inputs[port.name].shape, strict=True)
                if isinstance(axis, str)
            }
        )
    return cases, sizes


def with_padding(encoder: Form, decoder: Form, sizes: Mapping[str, int], folder: Path) -> Form:
    """The encoder's form, with the letters along which sources may be padded.

    Args:
        encoder: its form.
        decoder: its form.
        sizes: for every axis letter of the encoder's inputs a size that ran.
        folder: holds both graphs.
    """
    try:
        runs = [run_form(folder / form.record.file, form) for form in (encoder, decoder)]
    except Exception:  # onnxruntime raises many types; other checks say so
        return encoder
    pads = safe_padding(encoder, decoder, *runs, sizes=sizes)
    return msgspec.structs.replace(encoder, pads=pads)


def _source_letter(letter: str) -> str:
    """T, T2 … of the source become S, S2 …: T is the decoder's time."""
    return f"S{letter[1:]}" if letter[0] == "T" else letter


def _source_time(port: Port) -> Port:
    shape = [_source_letter(a) if isinstance(a, str) else a for a in port.shape]
    return msgspec.structs.replace(port, shape=shape)


def _decoder(
    halves: Halves, encoder: Form, source: Source, built: Built, folder: Path, settings: Settings
) -> Form:
    handed = {port.name: port for port in encoder.outputs}
    own = [one_time(p) for p in built.plan.ports if p.name in halves.decoder_inputs]
    ports = [*own, *(handed[one.name] for one in halves.handed)]
    lifted = lift(halves.decoder, ports)
    lower(halves.decoder, settings.target)
    by_name = {port.name: port for port in built.form.outputs}
    outputs = [_decoder_output(by_name[name], built, halves) for name in lifted.outputs]
    path = folder / DECODER_FILE
    fixed = [port.name for port in lifted.inputs if port.name in handed]
    return _write(
        halves.decoder,
        path,
        lifted.inputs,
        outputs,
        lifted.states,
        source,
        built,
        settings,
        fixed,
    )


def _decoder_output(port: Port, built: Built, halves: Halves) -> Port:
    """The decoder's own time is T, the source's S."""
    own = {
        a
        for p in built.plan.ports
        if p.name in halves.decoder_inputs
        for a in p.shape
        if isinstance(a, str) and a[0] == "T"
    }
    renamed = _source_time(port).shape
    shape = ["T" if a in own else b for a, b in zip(port.shape, renamed, strict=True)]
    return msgspec.structs.replace(port, shape=shape)


def _write(
    skeleton: Skeleton,
    path: Path,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    states: Sequence[State],
    source: Source,
    built: Built,
    settings: Settings,
    fixed: Sequence[str] = (),
) -> Form:
    describe_stream(skeleton.model, inputs, outputs, states, source, built.layers, settings)
    return write_form(skeleton.model, path, inputs, outputs, states=states, fixed=fixed)


def _prove(built: Built, encoder: Form, decoder: Form, folder: Path) -> list[Check]:
    try:
        run_encoder, whole, stepped = (
            run_form(folder / form.record.file, form) for form in (encoder, built.form, decoder)
        )
        cuts = handoff_cuts(built.form, encoder, decoder, run_encoder, sizes=built.plan.sizes)
    except Exception as error:  # onnxruntime raises many types
        return [refused("hand-off", error)]
    return check_streaming(built.form, decoder, whole, stepped, cuts)
