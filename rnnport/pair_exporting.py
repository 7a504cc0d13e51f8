"""Export of an encoder and a decoder given as two models."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnnport.artifact.golden import GOLDEN_FILE, write_golden
from rnnport.artifact.load import Artifact
from rnnport.artifact.save import staging
from rnnport.building import Built, Settings, best_build
from rnnport.capture.axes import find_axes
from rnnport.capture.pair import Feed, composed, one_step, open_half, signatures
from rnnport.capture.reference import Reference
from rnnport.capture.source import Source
from rnnport.errors import UnsupportedModel
from rnnport.evidence import gather
from rnnport.exporting import manifest_of, parity_error
from rnnport.pair_forms import Workshop, build_pair_forms
from rnnport.pair_match import Wiring, wire
from rnnport.pair_names import name_own, name_tensors
from rnnport.pair_study import Half, study, study_decoder
from rnnport.precision import in_precision
from rnnport.progress import Progress
from rnnport.samples import masks_anything
from rnnport.spec import Sampling, Streamable
from rnnport.stream_form import Stream

__all__ = ["run_pair_export"]

_STREAM = Stream(
    Streamable(ok=False, reason="it is an encoder and a decoder: see encoder.onnx and decoder.onnx")
)


def run_pair_export(
    encoder: Any,
    decoder: Any,
    out: str | os.PathLike[str],
    settings: Settings,
    states: Mapping[str, str] | None,
    progress: Progress,
) -> Artifact:
    """Export two models to the folder `out`; see `rnnport.export`."""
    with staging(out, overwrite=settings.overwrite) as draft:
        progress("opening the models", 0.0)
        one, other = _open(encoder, decoder, settings)
        progress("matching them", 0.3)
        wiring = _wire(one, other, states, settings)
        own = name_own(wiring, other.plan.ports, [i.name for i in one.source.inputs])
        feeds = _feeds(wiring, other)
        source = composed(one.source, other.source, feeds, own)
        shop = Workshop(draft.folder, settings, progress)
        built = _whole(source, one, other, own, shop)
        if settings.verify and not built.passed:
            raise parity_error(source, built.checks)
        names = name_tensors(
            wiring,
            own,
            one.outputs,
            other.plan.ports,
            [i.name for i in source.inputs],
            built.traced.output_names,
        )
        progress("encoder and decoder", 0.6)
        handoff, notes = build_pair_forms(one, other, names, built, shop)
        if settings.verify and not all(check.passed for check in handoff.checks):
            raise parity_error(source, handoff.checks)
        progress("saving", 0.95)
        write_golden(draft.folder / GOLDEN_FILE, built.cases)
        notes += _lost_mask(composed(one.source, other.source, feeds, own, masks=True), built)
        notes += [f"the decoder does not take {one.outputs[i].name!r}" for i in wiring.unused]
        notes += _zero_starts(wiring, other)
        built = replace(built, notes=[*built.notes, *notes])
        manifest = manifest_of(source, built, _STREAM, handoff, draft, settings)
        artifact = draft.commit(in_precision(manifest, built.cases, draft.folder, settings))
        progress("done", 1.0)
        return artifact


def _open(encoder: Any, decoder: Any, settings: Settings) -> tuple[Half, Half]:
    given = signatures(settings.input_signature)
    sources = [
        open_half(model, side, settings.custom_objects, given[side])
        for side, model in (("encoder", encoder), ("decoder", decoder))
    ]
    return study(sources[0]), study_decoder(sources[1], settings.decoder_inputs)


def _wire(
    encoder: Half, decoder: Half, states: Mapping[str, str] | None, settings: Settings
) -> Wiring:
    return wire(
        encoder.outputs,
        decoder.plan.ports,
        decoder.outputs,
        states=states,
        own=settings.decoder_inputs,
        ordered=decoder.source.structure.kind != "dict",
        keyed=decoder.keyed,
    )


def _feeds(wiring: Wiring, decoder: Half) -> list[Feed]:
    """One for each decoder input."""
    feeds = {index: Feed(own=place) for place, index in enumerate(wiring.own)}
    for link in wiring.links:
        start = None if link.source is not None else decoder.plan.ports[link.input]
        feeds[link.input] = Feed(handed=link.source, start=start)
    return [feeds[index] for index in range(len(feeds))]


def _zero_starts(wiring: Wiring, decoder: Half) -> list[str]:
    """A note for every state that the encoder gives nothing for."""
    names = [decoder.plan.ports[x.input].name for x in wiring.links if x.source is None]
    return [
        f"the decoder's state {name!r} starts from zeros: no encoder output is for it"
        for name in names
    ]


def _whole(
    source: Source, encoder: Half, decoder: Half, own: Sequence[tuple[int, str]], shop: Workshop
) -> Built:
    """model.onnx: one run after the other."""
    hints = [port.sampling or Sampling() for port in encoder.plan.ports]
    hints += [decoder.plan.ports[index].sampling or Sampling() for index, _ in own]
    sampling = {i.name: hint for i, hint in zip(source.inputs, hints, strict=True)}
    reference = Reference(source)
    try:
        plan = find_axes(source, sampling, reference)
    except UnsupportedModel:
        stepped = one_step(source, [name for _, name in own])
        if stepped == source:
            raise
        source, reference = stepped, Reference(stepped)
        plan = find_axes(source, sampling, reference)
    built = best_build(
        source, sampling, plan, None, reference, shop.folder, shop.settings, shop.progress
    )
    return gather(source, built, reference, shop.folder)


def _lost_mask(carrying: Source, built: Built) -> list[str]:
    """A note where a mask that Keras carries along, between calls on tensors, changes outputs."""
    if not masks_anything(built.plan.ports):
        return []
    reference = Reference(carrying)
    for case in built.cases:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Keras warns of the very mask
                given = reference.eager(case.inputs)
        except Exception:  # not what is exported, so no concern of the user's
            return []
        expected = case.outputs.values()
        if not all(np.allclose(e, g, atol=1e-4) for e, g in zip(expected, given, strict=True)):
            return [
                "called on tensors, Keras carries the encoder's mask along unseen and the decoder "
                "gives something else; decoder.onnx is without it, as predict is: a decoder that "
                "needs the mask must take it as an input"
            ]
    return []
