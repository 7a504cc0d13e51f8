"""The streaming law on this backend: whole, chunks and steps (DESIGN.md, law 3)."""

from __future__ import annotations

from rnnport.parity.one_chunk import beside_model, one_chunk, takes_chunks
from rnnport.parity.streaming import check_streaming, cuts
from rnnport.parity.subject import Subject
from rnnport.spec import Check

__all__ = ["check_stream"]

_SEED = 40_000


def check_stream(subject: Subject) -> list[Check]:
    """Run the stream form, where there is one, in chunks and steps against the whole form.

    In other precisions than float32 the whole is one chunk, which is held to a budget beside
    model.onnx.
    """
    forms = subject.manifest.forms
    if "stream" not in forms:
        return []
    model, stream = forms["model"], forms["stream"]
    found = cuts(model, stream, shortest=_shortest(subject), seed=_SEED + subject.seed)
    run, bound = subject.form("stream"), subject.stream_tolerance
    if subject.exact or not takes_chunks(stream):
        apart = subject.runner.run_named
        return check_streaming(model, stream, apart, run, found, tolerance=bound)
    whole = one_chunk(stream, run)
    law = check_streaming(model, stream, whole, run, found, tolerance=bound)
    return [*law, *beside_model(subject, "stream", whole, found, "streaming")]


def _shortest(subject: Subject) -> int:
    """A length the model was seen to take, several steps if it may."""
    times = [n for letter, n in subject.smallest.items() if letter != "B"]
    return max(4, *times) if times else 4
