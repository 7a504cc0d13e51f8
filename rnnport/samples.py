"""Seeded random inputs drawn from ports: any sizes, masks of every kind. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.spec import Port

__all__ = [
    "MASK_KINDS",
    "affordable",
    "draw",
    "draw_mask",
    "filler",
    "in_words",
    "is_real",
    "mask_mark",
    "masked_letters",
    "masks_anything",
    "rescaled",
    "stepped_letters",
    "with_denormals",
]

# Of one input. Frames of video in the usual numbers would fill the memory with what layers make of
# them.
_MOST_ELEMENTS = 1 << 18

MASK_KINDS = ("none", "right", "left", "interior", "empty row")


def masks_anything(ports: Sequence[Port]) -> bool:
    """Whether any input can mark masked steps."""
    return any(p.sampling is not None and p.sampling.mask_value is not None for p in ports)


def mask_mark(port: Port) -> float | None:
    """The value that marks masked steps, where an input has steps."""
    has_steps = len(port.shape) > 1 and isinstance(port.shape[1], str)
    return port.sampling.mask_value if port.sampling is not None and has_steps else None


def masked_letters(ports: Sequence[Port]) -> frozenset[str]:
    """Letters that stand only for steps, and only in inputs that mask steps."""
    masked = {str(port.shape[1]) for port in ports if mask_mark(port) is not None}
    others = [axis for port in ports if mask_mark(port) is not None for axis in port.shape[2:]]
    others += [axis for port in ports if mask_mark(port) is None for axis in port.shape[1:]]
    return frozenset(masked - {axis for axis in others if isinstance(axis, str)})


def stepped_letters(ports: Sequence[Port]) -> frozenset[str]:
    """Letters that stand for steps, axis 1, and for nothing else in any input."""
    steps = {axis for port in ports for axis in port.shape[1:2] if isinstance(axis, str)}
    others = {axis for port in ports for axis in (*port.shape[:1], *port.shape[2:])}
    return frozenset(steps - others)


def filler(port: Port) -> float:
    """What stands in the padding of a short row: the mask value, or 0 where nothing masks."""
    mark = mask_mark(port)
    return 0.0 if mark is None else mark


def affordable(
    ports: Sequence[Port], sizes: Mapping[str, int], floors: Mapping[str, int]
) -> dict[str, int]:
    """The sizes, or smaller ones where an input would hold over a quarter of a million elements.

    Args:
        ports: the inputs.
        sizes: axis letter to size.
        floors: sizes not to go below, 1 where there is none.
    """
    found = dict(sizes)
    while max((_elements(port, found) for port in ports), default=0) > _MOST_ELEMENTS:
        room = {letter: size - floors.get(letter, 1) for letter, size in found.items()}
        letter = max(room, key=room.__getitem__, default="")
        if not letter or room[letter] <= 0:
            break
        found[letter] -= 1
    return found


def _elements(port: Port, sizes: Mapping[str, int]) -> int:
    return math.prod(a if isinstance(a, int) else sizes.get(a, 1) for a in port.shape)


def draw_mask(kind: str, batch: int, time: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw a (B, T) mask, True on valid steps.

    Args:
        kind: one of MASK_KINDS. "empty row" is interior with row 0 wholly masked.
        batch: B.
        time: T.
        rng: source of randomness.
    """
    if kind == "none":
        return np.ones((batch, time), bool)
    if kind in ("right", "left"):
        lengths = rng.integers(1, time + 1, size=batch)
        valid = np.arange(time)[None, :] < lengths[:, None]
        return valid if kind == "right" else valid[:, ::-1].copy()
    mask = rng.random((batch, time)) < 0.6
    mask[:, rng.integers(0, time)] = True
    if kind == "empty row":
        mask[0] = False
    elif kind != "interior":
        raise ValueError(f"unknown mask kind {kind!r}")
    return mask


def draw(
    ports: Sequence[Port],
    sizes: Mapping[str, int],
    *,
    mask: str = "none",
    seed: int = 0,
) -> dict[str, NDArray[np.generic]]:
    """Draw one array for each port.

    Args:
        ports: inputs with sampling hints.
        sizes: a size for every axis letter that occurs, e.g. {"B": 4, "T": 11}.
        mask: one of MASK_KINDS, applied along axis 1 to every input that can be masked.
        seed: the same seed gives the same arrays.

    Returns:
        Port name to array, dtypes as the ports say.
    """
    rng = np.random.default_rng(seed)
    return {port.name: _draw_one(port, sizes, mask, rng) for port in ports}


def _draw_one(
    port: Port, sizes: Mapping[str, int], mask: str, rng: np.random.Generator
) -> NDArray[np.generic]:
    shape = tuple(sizes[a] if isinstance(a, str) else a for a in port.shape)
    hint = port.sampling
    if hint is None:
        raise ValueError(f"port {port.name!r} has no sampling hint")
    if hint.kind == "bool":
        return (rng.random(shape) < 0.7).astype(port.dtype)
    if hint.kind == "ids":
        low = 1 if hint.mask_value == 0 and hint.high > 1 else 0
        values: NDArray[np.generic] = rng.integers(low, hint.high, size=shape)
    else:
        values = rng.standard_normal(shape)
    if hint.mask_value is not None and mask != "none" and len(shape) >= 2:
        valid = draw_mask(mask, shape[0], shape[1], rng)
        valid = valid.reshape(valid.shape + (1,) * (len(shape) - 2))
        values = np.where(valid, values, hint.mask_value)
    return np.asarray(values).astype(port.dtype)


def rescaled(
    ports: Sequence[Port], arrays: Mapping[str, NDArray[Any]], factor: float
) -> dict[str, NDArray[np.generic]]:
    """The arrays with every float value, masked steps left out, times a factor.

    Args:
        ports: with sampling hints.
        arrays: port name to array, as draw gives them.
        factor: 1e3 drives gates into saturation, 1e-3 keeps them in their linear part.
    """
    return {
        port.name: np.where(
            _marked(port, arrays[port.name]), arrays[port.name], arrays[port.name] * factor
        ).astype(port.dtype)
        if is_real(port)
        else arrays[port.name]
        for port in ports
    }


def with_denormals(
    ports: Sequence[Port], arrays: Mapping[str, NDArray[Any]], seed: int
) -> dict[str, NDArray[np.generic]]:
    """The arrays with a third of all float values, masked steps left out, made denormal.

    Never a whole step: TensorFlow flushes denormals to zero, which may be the mask value.
    """
    rng = np.random.default_rng(seed)
    made = dict(arrays)
    for port in ports:
        if is_real(port):
            array = arrays[port.name]
            chosen = (rng.random(array.shape) < 1 / 3) & ~_marked(port, array)
            chosen[..., -1:] = False
            made[port.name] = np.where(chosen, array * 1e-40, array).astype(port.dtype)
    return made


def is_real(port: Port) -> bool:
    """Whether values of any size can be fed: no ids, no masks."""
    hint = port.sampling
    return hint is not None and hint.kind == "float" and np.dtype(port.dtype).kind == "f"


def _marked(port: Port, array: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where a value marks a masked step."""
    hint = port.sampling
    if hint is None or hint.mask_value is None:
        return np.zeros(array.shape, bool)
    return np.asarray(array == np.asarray(hint.mask_value, array.dtype))


def in_words(sizes: Mapping[str, int]) -> str:
    """Sizes of axes as names of runs have them, "B=4 T=11" say."""
    return " ".join(f"{letter}={size}" for letter, size in sizes.items())
