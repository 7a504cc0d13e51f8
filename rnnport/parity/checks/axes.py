"""Axes that the manifest calls dynamic, run at sizes that nothing was traced or proven with."""

from __future__ import annotations

from collections.abc import Mapping

from rnnport.parity.subject import Arrays, Subject, attempt
from rnnport.samples import draw, in_words
from rnnport.spec import Check, Port

__all__ = ["check_axes"]

_SEED = 70_000
# Rows and steps beyond what golden holds; primes, so that no two axes come out alike.
_MORE = (7, 13, 19, 29, 37)


def check_axes(subject: Subject) -> list[Check]:
    """One row an axis letter: every output has the shape that its port claims.

    The figure is the number of axes whose size is not the one claimed.
    """
    checks = []
    for place, letter in enumerate(subject.smallest):
        sizes = subject.sizes(batch=3, longer=2)
        sizes[letter] += _MORE[place % len(_MORE)]
        inputs = draw(subject.model.inputs, sizes, seed=_SEED + subject.seed)
        given, note = attempt(subject.runner.run_named, inputs)
        told = in_words(sizes)
        checks.append(_check(f"axis {letter}, {told}", subject, given, sizes, note))
    return checks


def _check(
    name: str, subject: Subject, given: Arrays, sizes: Mapping[str, int], trouble: str
) -> Check:
    wrong = [
        told
        for port in subject.model.outputs
        if port.name in given
        for told in _wrong(port, given[port.name].shape, sizes)
    ]
    outputs = ", ".join(port.name for port in subject.model.outputs)
    note = f"nothing came back: {trouble}" if not given else "; ".join(wrong)
    error = float(len(wrong)) if given else None
    return Check(
        name=name,
        output=outputs,
        error=error,
        bound=0.0,
        passed=bool(given) and not wrong,
        note=note,
        kind="axes",
    )


def _wrong(port: Port, shape: tuple[int, ...], sizes: Mapping[str, int]) -> list[str]:
    """Axes that are not as claimed; letters that no input has are free."""
    if len(shape) != len(port.shape):
        return [f"{port.name} has shape {list(shape)}, not {port.shape}"]
    return [
        f"axis {axis} of {port.name} is {size}, not {wanted}"
        for axis, (size, claim) in enumerate(zip(shape, port.shape, strict=True))
        if (wanted := sizes.get(claim, size) if isinstance(claim, str) else claim) != size
    ]
