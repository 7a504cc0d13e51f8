"""encoder.onnx followed by decoder.onnx equals model.onnx (DESIGN.md, law 5)."""

from __future__ import annotations

import msgspec

from rnnport.parity.handoff import handoff_cuts
from rnnport.parity.one_chunk import beside_model, one_chunk
from rnnport.parity.streaming import check_streaming
from rnnport.parity.subject import Arrays, Subject
from rnnport.spec import Check, Form

__all__ = ["check_halves"]

_SEED = 120_000


def check_halves(subject: Subject) -> list[Check]:
    """Teacher-forced: the decoder in chunks and steps against the whole run.

    Decoders that take one step at a time and no sequence were proven at export, against their own
    model: the whole form does not hold what they do.
    """
    forms = subject.manifest.forms
    if not {"encoder", "decoder"} <= set(forms):
        return []
    encoder, decoder = forms["encoder"], forms["decoder"]
    if not any("T" in port.shape for port in decoder.per_step):
        return []
    sizes = {letter: max(4, size) for letter, size in subject.smallest.items()}
    run_encoder = subject.form("encoder")
    cuts = handoff_cuts(
        subject.model,
        encoder,
        decoder,
        run_encoder,
        sizes=sizes,
        # A pair's decoder gives zeros where a sequence opens with a masked step, as Keras does.
        mask_targets=not subject.manifest.source.get("kind", "").startswith("two models"),
        seed=_SEED + subject.seed,
    )
    run = subject.form("decoder")
    if subject.exact:
        checks = check_streaming(subject.model, decoder, subject.runner.run_named, run, cuts)
    else:
        whole = one_chunk(decoder, run, lambda given: run_encoder(_of(encoder, given)))
        bound = subject.stream_tolerance
        checks = check_streaming(subject.model, decoder, whole, run, cuts, tolerance=bound)
        checks += beside_model(subject, "decoder", whole, cuts, "hand-off")
    return [msgspec.structs.replace(check, kind="hand-off") for check in checks]


def _of(form: Form, given: Arrays) -> Arrays:
    return {port.name: given[port.name] for port in form.inputs}
