"""Golden cases beyond shapes and masks: one step, inputs of unusual size, a thousand steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnport.artifact.golden import GoldenCase
from rnnport.capture.axes import AxisPlan
from rnnport.capture.reference import Reference
from rnnport.samples import affordable, draw, in_words, is_real, rescaled, with_denormals
from rnnport.spec import Port

__all__ = ["DRIFT_STEPS", "more_cases"]

Arrays = Mapping[str, NDArray[np.generic]]

DRIFT_STEPS = 1000
# Where several axes are times, attention makes a matrix of them.
_DRIFT_STEPS_EACH = 250
_LARGEST = 1 << 18
_SEED = 60_000


@dataclass(frozen=True)
class _Draft:
    """A run to come; it may be refused without a word, since nobody claims that it works."""

    kind: str
    name: str
    inputs: Arrays


def more_cases(
    plan: AxisPlan, reference: Reference, outputs: Sequence[Port]
) -> tuple[list[GoldenCase], list[str]]:
    """Run TensorFlow on them.

    Args:
        plan: ports and sizes.
        reference: the model in TensorFlow.
        outputs: the model's, with axis letters.

    Returns:
        The cases, and a note where TensorFlow itself overflows.
    """
    cases, notes = [], []
    # Where no graph takes every length, tracing one for each would cost more than it saves.
    run = reference if reference.compiled else reference.eager
    # Kernels in a graph may hold a number of steps, and abort the process where there are fewer.
    short = [] if reference.is_graph else _one_step(plan)
    drafts = [*short, *_scales(plan), *_drift(plan, reference, outputs)]
    for draft in drafts:
        try:
            given = run(draft.inputs)
        except Exception:  # a length that the model does not take: nothing is claimed about it
            continue
        if not all(np.isfinite(y).all() for y in given if y.dtype.kind == "f"):
            notes.append(f"TensorFlow itself overflows on {draft.name}: not compared")
            continue
        named = dict(zip((p.name for p in outputs), given, strict=True))
        cases.append(GoldenCase(draft.name, draft.inputs, named, draft.kind))
    return cases, notes


def _one_step(plan: AxisPlan) -> Iterator[_Draft]:
    """T = 1 everywhere."""
    if any(letter != "B" for letter in plan.sizes):
        sizes = {letter: 2 if letter == "B" else 1 for letter in plan.sizes}
        yield _Draft("shapes", f"one step, {in_words(sizes)}", draw(plan.ports, sizes, seed=_SEED))


def _scales(plan: AxisPlan) -> Iterator[_Draft]:
    """Gates in their linear part, gates driven to saturation, denormal numbers."""
    if not any(map(is_real, plan.ports)):
        return
    sizes = {
        letter: 3 if letter == "B" else base + 5 + n
        for n, (letter, base) in enumerate(plan.sizes.items())
    }
    floors = {letter: size for letter, size in plan.sizes.items() if letter != "B"}
    sizes = affordable(plan.ports, sizes, floors)
    plain = draw(plan.ports, sizes, seed=_SEED + 1)
    for factor, word in ((1e-3, "times 0.001"), (1e3, "times 1000")):
        scaled = rescaled(plan.ports, plain, factor)
        yield _Draft("scale", f"inputs {word}, {in_words(sizes)}", scaled)
    denormal = with_denormals(plan.ports, plain, _SEED + 2)
    yield _Draft("scale", f"denormal inputs, {in_words(sizes)}", denormal)


def _drift(plan: AxisPlan, reference: Reference, outputs: Sequence[Port]) -> Iterator[_Draft]:
    """As many steps as a thousand, where TensorFlow need not take each of them in Python."""
    times = [letter for letter in plan.sizes if letter != "B"]
    if not times or not reference.compiled:
        return
    steps = DRIFT_STEPS if len(times) == 1 else _DRIFT_STEPS_EACH
    sizes = {letter: 1 if letter == "B" else steps for letter in plan.sizes}
    floors = {letter: plan.sizes[letter] for letter in times}
    sizes = affordable(plan.ports, sizes, floors)
    if _elements(outputs, sizes) > _LARGEST:
        share = _LARGEST / _elements(outputs, sizes)
        sizes |= {a: max(floors[a], int(sizes[a] * share)) for a in times}
    if min(sizes[a] for a in times) > 64:
        told = in_words(sizes)
        yield _Draft("drift", f"long, {told}", draw(plan.ports, sizes, seed=_SEED + 3))


def _elements(outputs: Sequence[Port], sizes: Mapping[str, int]) -> int:
    return sum(
        int(np.prod([sizes.get(a, 1) if isinstance(a, str) else a for a in port.shape]))
        for port in outputs
    )
