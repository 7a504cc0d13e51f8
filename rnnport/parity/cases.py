"""Fresh inputs: sizes, masks and seeds that golden.npz does not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnport.artifact.golden import GoldenCase
from rnnport.samples import MASK_KINDS, affordable, draw, in_words, masks_anything
from rnnport.spec import Port

__all__ = ["Case", "fresh_cases"]

_SEED = 20_000


@dataclass(frozen=True)
class Case:
    """One run to come.

    Attributes:
        name: e.g. "left mask, B=3 T=12".
        inputs: input name to array, as the ports say.
    """

    name: str
    inputs: Mapping[str, NDArray[np.generic]]


def fresh_cases(ports: Sequence[Port], golden: Sequence[GoldenCase], seed: int = 0) -> list[Case]:
    """Draw inputs at three combinations of sizes, with every kind of mask the model knows.

    Args:
        ports: the form's inputs, with sampling hints.
        golden: cases whose sizes are avoided. No size but B goes below the smallest of them,
            since convolutions and poolings have shortest lengths.
        seed: the same seed draws the same values.
    """
    used = _used_sizes(ports, golden)
    masks = MASK_KINDS if masks_anything(ports) else ("none",)
    floors = {letter: min(sizes, default=1) for letter, sizes in used.items() if letter != "B"}
    reach = [affordable(ports, sizes, floors) for sizes in _unused_sizes(used)]
    plans = [(sizes, mask) for sizes in reach for mask in masks]
    return [
        Case(_name(sizes, mask), draw(ports, sizes, mask=mask, seed=_SEED + 1000 * seed + number))
        for number, (sizes, mask) in enumerate(plans)
    ]


def _used_sizes(ports: Sequence[Port], golden: Sequence[GoldenCase]) -> dict[str, set[int]]:
    """Axis letter to the sizes it has in the golden cases."""
    used: dict[str, set[int]] = {a: set() for p in ports for a in p.shape if isinstance(a, str)}
    for case in golden:
        for port in ports:
            for axis, letter in enumerate(port.shape):
                if isinstance(letter, str) and port.name in case.inputs:
                    used[letter].add(case.inputs[port.name].shape[axis])
    return used


def _unused_sizes(used: Mapping[str, set[int]]) -> list[dict[str, int]]:
    """Three sizes for each letter, unlike one another where letters are independent."""
    columns = {
        letter: _three(sizes, 1, 0) if letter == "B" else _three(sizes, min(sizes, default=3), n)
        for n, (letter, sizes) in enumerate(used.items())
    }
    return [{letter: sizes[i] for letter, sizes in columns.items()} for i in range(3)]


def _three(used: set[int], floor: int, shift: int) -> list[int]:
    """A small, a middling and a large size that are not in used."""
    found: list[int] = []
    for wish in (floor + shift, floor + 4 + 2 * shift, max(used, default=floor) + 9 + 3 * shift):
        size = wish
        while size in used or size in found:
            size += 1
        found.append(size)
    return found


def _name(sizes: Mapping[str, int], mask: str) -> str:
    shape = in_words(sizes) or "fixed sizes"
    return f"fresh, {shape}" if mask == "none" else f"fresh, {mask} mask, {shape}"
