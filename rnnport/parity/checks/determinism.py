"""The same run gives the same bits, and the number of threads makes no difference to speak of."""

from __future__ import annotations

from rnnport.parity.checks.precision import within_budget
from rnnport.parity.compare import Comparison, compare_all
from rnnport.parity.subject import Arrays, Subject, attempt
from rnnport.parity.tolerance import TOLERANCES
from rnnport.runtime.session import open_session
from rnnport.samples import draw, masks_anything
from rnnport.spec import Check

__all__ = ["check_determinism"]

_SEED = 90_000
_THREADED = ("cpu", "openvino")


def check_determinism(subject: Subject) -> list[Check]:
    """Run twice, which must be bit-equal, and on one thread and two, to the streaming bound."""
    mask = "interior" if masks_anything(subject.model.inputs) else "none"
    inputs = draw(subject.model.inputs, subject.sizes(4, 9), mask=mask, seed=_SEED + subject.seed)
    names = subject.runner.output_names
    first, trouble = attempt(subject.runner.run_named, inputs)
    second, again = attempt(subject.runner.run_named, inputs)
    twice = Comparison("the same run twice", first, second, trouble or again, "determinism")
    checks = compare_all("determinism", [twice], names, 0.0, constants=True)
    if subject.provider not in _THREADED:
        return checks
    one, note = attempt(lambda given: _threaded(subject, given, 1), inputs)
    two, other = attempt(lambda given: _threaded(subject, given, 2), inputs)
    threads = Comparison("one thread and two", one, two, note or other, "determinism")
    if not subject.exact:
        # Threads share the rows out, and each rounds its own to int8 by a scale of their own.
        return checks + within_budget([threads], subject.golden, names, subject.manifest.precision)
    bound = TOLERANCES["stream"]
    return checks + compare_all(
        "determinism", [threads], names, bound, subject.manifest.conditioning, constants=True
    )


def _threaded(subject: Subject, inputs: Arrays, threads: int) -> Arrays:
    names = subject.runner.output_names
    session = open_session(subject.artifact.forms["model"], subject.provider, threads)
    return dict(zip(names, session.run(list(names), dict(inputs)), strict=True))
