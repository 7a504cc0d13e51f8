"""Golden cases: seeded inputs at several sizes, every kind of mask, and TensorFlow's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnnport.artifact.golden import GoldenCase
from rnnport.capture.axes import AxisPlan
from rnnport.capture.reference import Reference
from rnnport.capture.wording import gist
from rnnport.samples import affordable, draw, in_words, masks_anything
from rnnport.spec import Port

__all__ = ["golden_cases", "output_ports"]

# Label, mask kind, rows, steps beyond the smallest length that ran.
_PLAIN = (("one row", "none", 1, 1), ("plain", "none", 4, 19))
_MASKED = (
    ("right-padded", "right", 3, 2),
    ("left-padded", "left", 5, 4),
    ("interior mask", "interior", 3, 7),
    ("a row all masked", "empty row", 4, 3),
)


@dataclass(frozen=True)
class _Sizes:
    label: str
    mask: str
    sizes: dict[str, int]

    @property
    def name(self) -> str:
        return f"{self.label}, {in_words(self.sizes)}".rstrip(", ")


def _variants(plan: AxisPlan) -> list[_Sizes]:
    rows = _PLAIN + (_MASKED if masks_anything(plan.ports) else ())
    variants = []
    for label, mask, batch, longer in rows:
        sizes = {}
        for n, (letter, base) in enumerate(plan.sizes.items()):
            sizes[letter] = batch if letter == "B" else base + longer + n
        sizes = affordable(plan.ports, sizes, {k: v for k, v in plan.sizes.items() if k != "B"})
        variants.append(_Sizes(label, mask, sizes))
    return variants


def golden_cases(
    plan: AxisPlan, reference: Reference, output_names: Sequence[str]
) -> tuple[list[GoldenCase], list[dict[str, int]], list[str]]:
    """Run TensorFlow on every variant.

    Args:
        plan: ports and sizes.
        reference: the model in TensorFlow.
        output_names: one for each flat output.

    Returns:
        The cases, the axis sizes of each, and a note for each size TensorFlow refused.
    """
    cases, sizes, notes = [], [], []
    for seed, variant in enumerate(_variants(plan)):
        inputs = draw(plan.ports, variant.sizes, mask=variant.mask, seed=seed)
        try:
            outputs = reference(inputs)
        except Exception as error:  # the model's own limits: recorded, not hidden
            notes.append(f"TensorFlow itself refused {variant.name}: {gist(error)}")
            continue
        cases.append(
            GoldenCase(
                variant.name,
                inputs,
                dict(zip(output_names, outputs, strict=True)),
                "shapes" if variant.mask == "none" else "masks",
            )
        )
        sizes.append(variant.sizes)
    return cases, sizes, notes


def output_ports(
    names: Sequence[str],
    traced: Sequence[Sequence[int | None]],
    cases: Sequence[GoldenCase],
    sizes: Sequence[dict[str, int]],
) -> list[Port]:
    """Name the dynamic axes of the outputs by what they were seen to equal.

    Args:
        names: output names.
        traced: static shapes, None where dynamic.
        cases: golden cases, at least one.
        sizes: axis sizes of each case.
    """
    ports = []
    for n, name in enumerate(names):
        arrays = [case.outputs[name] for case in cases]
        rank = arrays[0].ndim
        static = traced[n] if len(traced[n]) == rank else (None,) * rank
        shape = [
            _axis([a.shape[i] for a in arrays], static[i], sizes, f"{name}_{i}")
            for i in range(rank)
        ]
        ports.append(Port(name=name, dtype=arrays[0].dtype.name, shape=shape))
    return ports


def _axis(
    seen: Sequence[int], static: int | None, sizes: Sequence[dict[str, int]], fallback: str
) -> int | str:
    if static is not None and set(seen) == {static}:
        return static
    for letter in sizes[0]:
        if all(size == s[letter] for size, s in zip(seen, sizes, strict=True)):
            return letter
    return seen[0] if len(set(seen)) == 1 and len(seen) > 1 else fallback
