"""The streaming law on this backend: whole, chunks and steps (DESIGN.md, law 3)."""

from __future__ import annotations

from rnnport.parity.streaming import check_streaming, cuts
from rnnport.parity.subject import Subject
from rnnport.spec import Check

__all__ = ["check_stream"]

_SEED = 40_000


def check_stream(subject: Subject) -> list[Check]:
    """Run the stream form, where there is one, in chunks and steps against the whole form."""
    forms = subject.manifest.forms
    if "stream" not in forms:
        return []
    stream = forms["stream"]
    found = cuts(forms["model"], stream, shortest=_shortest(subject), seed=_SEED + subject.seed)
    run = subject.form("stream")
    return check_streaming(forms["model"], stream, subject.runner.run_named, run, found)


def _shortest(subject: Subject) -> int:
    """A length the model was seen to take, several steps if it may."""
    times = [n for letter, n in subject.smallest.items() if letter != "B"]
    return max(4, *times) if times else 4
