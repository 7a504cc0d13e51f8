"""Finds which axes of the inputs are dynamic, by running the model in TensorFlow at other sizes.

An axis is called dynamic only after TensorFlow ran at two sizes of it; the ONNX side of the claim
is checked by the export itself, on golden samples of several sizes.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rnnport.capture.quiet import quiet
from rnnport.capture.reference import Reference
from rnnport.capture.source import Input, Source
from rnnport.capture.wording import gist
from rnnport.errors import UnsupportedModel
from rnnport.samples import draw
from rnnport.spec import FixedAxis, Port, Sampling

__all__ = ["AxisPlan", "declared_plan", "find_axes", "fixed_plan"]

# Small lengths first; long ones for convolutions and pooling that need them.
_LADDER = (4, 9, 20, 50, 150, 420)
_STEP = 3
_BATCH = 3


@dataclass(frozen=True)
class _Slot:
    """An axis that may be dynamic."""

    input: int
    axis: int
    declared: int | None


@dataclass(frozen=True)
class AxisPlan:
    """Shapes to trace with.

    Attributes:
        ports: inputs with axis letters where dynamic, and sampling hints.
        sizes: for every letter, a size at which TensorFlow ran.
        fixed: axes held at one size, and why.
    """

    ports: tuple[Port, ...]
    sizes: Mapping[str, int]
    fixed: tuple[FixedAxis, ...] = ()

    @property
    def shapes(self) -> list[list[int | None]]:
        """TensorFlow shapes, None where a letter stands."""
        return [[None if isinstance(a, str) else a for a in p.shape] for p in self.ports]


def _slots(source: Source, sampling: Mapping[str, Sampling]) -> list[_Slot]:
    found = []
    for n, spec in enumerate(source.inputs):
        for axis, size in enumerate(spec.shape):
            if axis == 0 or _may_vary(spec, axis, sampling[spec.name]):
                found.append(_Slot(n, axis, size))
    return found


def _may_vary(spec: Input, axis: int, hint: Sampling) -> bool:
    if spec.shape[axis] is None:
        return True
    sequence_of_ids = len(spec.shape) == 2 and (hint.kind != "float" or spec.dtype != "float32")
    return axis == 1 and (len(spec.shape) >= 3 or sequence_of_ids)


def _ports(
    source: Source,
    sampling: Mapping[str, Sampling],
    letters: Mapping[tuple[int, int], str],
    sizes: Mapping[tuple[int, int], int] | None = None,
) -> tuple[Port, ...]:
    ports = []
    for n, spec in enumerate(source.inputs):
        shape: list[int | str] = []
        for axis, declared in enumerate(spec.shape):
            letter = letters.get((n, axis))
            size = (sizes or {}).get((n, axis), declared)
            if letter is None and size is None:
                raise ValueError(f"axis {axis} of {spec.name} has neither letter nor size")
            shape.append(letter if letter is not None else int(size or 0))
        ports.append(
            Port(name=spec.name, dtype=spec.dtype, shape=shape, sampling=sampling[spec.name])
        )
    return tuple(ports)


def declared_plan(source: Source, sampling: Mapping[str, Sampling]) -> AxisPlan:
    """Every axis that may vary is dynamic; used for the first trace, nothing has been run yet."""
    letters = {
        (s.input, s.axis): "B" if s.axis == 0 else f"T{i}"
        for i, s in enumerate(_slots(source, sampling))
    }
    return AxisPlan(_ports(source, sampling, letters), {})


def fixed_plan(
    source: Source, sampling: Mapping[str, Sampling], plan: AxisPlan, layer: str, reason: str
) -> AxisPlan | None:
    """The plan with every axis that the model declares fixed held at that size.

    Args:
        source: the model.
        sampling: hints for the ports.
        plan: the plan that failed.
        layer: the layer to blame.
        reason: what went wrong with dynamic axes.

    Returns:
        A stricter plan, or None where nothing more can be held.
    """
    held = [s for s in _slots(source, sampling) if s.declared is not None]
    held = [s for s in held if isinstance(plan.ports[s.input].shape[s.axis], str)]
    times = [s for s in held if s.axis != 0]
    held = times or held
    if not held:
        return None
    ports = list(plan.ports)
    fixed = list(plan.fixed)
    for slot in held:
        shape = list(ports[slot.input].shape)
        shape[slot.axis] = int(slot.declared or 0)
        ports[slot.input] = Port(
            name=ports[slot.input].name,
            dtype=ports[slot.input].dtype,
            shape=shape,
            sampling=ports[slot.input].sampling,
        )
        fixed.append(_fixed(source, slot, int(slot.declared or 0), layer, reason))
    return AxisPlan(tuple(ports), plan.sizes, tuple(fixed))


def _fixed(source: Source, slot: _Slot, size: int, layer: str, reason: str) -> FixedAxis:
    return FixedAxis(
        input=source.inputs[slot.input].name, axis=slot.axis, size=size, layer=layer, reason=reason
    )


class _Prober:
    """Runs the reference at chosen sizes of the slots."""

    def __init__(
        self, source: Source, sampling: Mapping[str, Sampling], reference: Reference
    ) -> None:
        self.source, self.sampling, self.reference = source, sampling, reference
        self.layer = self.reason = ""

    def runs(self, sizes: Mapping[_Slot, int]) -> bool:
        """Whether TensorFlow accepts these sizes; notes who refused."""
        by_axis = {(s.input, s.axis): size for s, size in sizes.items()}
        ports = _ports(self.source, self.sampling, {}, by_axis)
        with quiet():
            try:
                self.reference.eager(draw(ports, {}, seed=1))
                return True
            except Exception as error:  # whatever the model's own code raises is the answer
                self.layer = self.reference.failed_in or self.source.name
                self.reason = gist(error)
            gc.collect()  # TensorFlow logs what a failed loop left behind when it is freed
        return False


def find_axes(source: Source, sampling: Mapping[str, Sampling], reference: Reference) -> AxisPlan:
    """Decide which axes are dynamic, which belong together, and which are fixed.

    Args:
        source: the model.
        sampling: hints for drawing inputs.
        reference: the model in TensorFlow.

    Raises:
        UnsupportedModel: the model runs at no size that was tried.
    """
    prober = _Prober(source, sampling, reference)
    slots = _slots(source, sampling)
    batch = [s for s in slots if s.axis == 0]
    times = [s for s in slots if s.axis != 0]
    base, free = _base(prober, batch, times)
    fixed: list[FixedAxis] = []
    for slot in times:
        if slot not in free:
            fixed.append(_fixed(source, slot, base[slot], *_blame(prober, base, [slot])))
    groups, stuck = _groups(prober, base, free)
    for slot in stuck:
        fixed.append(_fixed(source, slot, base[slot], *_blame(prober, base, [slot])))
    groups.sort(key=lambda group: times.index(group[0]))
    letters: dict[tuple[int, int], str] = {}
    sizes: dict[str, int] = {}
    if prober.runs({**base, **{s: base[s] + 2 for s in batch}}):
        letters.update({(s.input, 0): "B" for s in batch})
        sizes["B"] = _BATCH
    else:
        fixed.extend(_fixed(source, s, base[s], prober.layer, prober.reason) for s in batch)
    for n, group in enumerate(groups):
        letter = "T" if n == 0 else f"T{n + 1}"
        sizes[letter] = base[group[0]]
        letters.update({(s.input, s.axis): letter for s in group})
    at = {(s.input, s.axis): size for s, size in base.items()}
    return AxisPlan(_ports(source, sampling, letters, at), sizes, tuple(fixed))


def _groups(
    prober: _Prober, base: Mapping[_Slot, int], free: Sequence[_Slot]
) -> tuple[list[list[_Slot]], list[_Slot]]:
    """Slots that vary alone, those that vary only together, and those that do not vary."""

    def vary(slots: Sequence[_Slot]) -> bool:
        return prober.runs({**base, **{s: base[s] + _STEP for s in slots}})

    alone = [s for s in free if vary([s])]
    rest = [s for s in free if s not in alone]
    if not rest:
        return [[s] for s in alone], []
    if vary(rest):
        return [*([s] for s in alone), rest], []
    # An unrolled layer takes a longer mask alone, though not a longer sequence.
    if alone and vary(free):
        return [list(free)], []
    return [[s] for s in alone], rest


def _blame(prober: _Prober, base: Mapping[_Slot, int], slots: Sequence[_Slot]) -> tuple[str, str]:
    """The layer and message that refuse another size of these slots."""
    prober.runs({**base, **{s: base[s] + _STEP for s in slots}})
    return prober.layer, prober.reason


def _base(
    prober: _Prober, batch: Sequence[_Slot], times: Sequence[_Slot]
) -> tuple[dict[_Slot, int], list[_Slot]]:
    """Sizes at which the model runs, and the time slots that may still vary."""
    rows = dict.fromkeys(batch, _BATCH)
    for size in _LADDER:
        sizes = {**rows, **dict.fromkeys(times, size)}
        if prober.runs(sizes) and prober.runs({**rows, **dict.fromkeys(times, size + _STEP)}):
            return sizes, list(times)
    declared_rows = {s: s.declared or _BATCH for s in batch}
    for candidate in (rows, declared_rows):
        for size in _LADDER:
            sizes = {**candidate, **{s: s.declared or size for s in times}}
            if prober.runs(sizes):
                free = [
                    s
                    for s in times
                    if s.declared is None or prober.runs({**sizes, s: sizes[s] + _STEP})
                ]
                return sizes, free
    shapes = ", ".join(f"{i.name} {i.shape} {i.dtype}" for i in prober.source.inputs)
    raise UnsupportedModel.of(
        f"model {prober.source.name!r}, layer {prober.layer!r}",
        f"refused every size tried: {prober.reason}",
        f"a model that runs on {shapes}",
        "call the model on such an array yourself, or pass input_signature with the right shapes",
    )
