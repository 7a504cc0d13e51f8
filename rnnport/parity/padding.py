"""The padding law: a source padded beside a longer one gives what it gives alone.

A mask that some layer of the model drops (attention written by hand, a convolution) breaks it, and
nothing in the graph tells: so it is tried. Axis letters: B batch, S source steps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.parity.compare import compare
from rnnport.parity.streaming import first_states
from rnnport.parity.tolerance import TOLERANCES
from rnnport.samples import draw, mask_mark, masked_letters
from rnnport.spec import Form, Port

__all__ = ["safe_padding"]

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Run = Callable[[Arrays], Arrays]

# How much longer than a length that ran the source is, and its neighbour than the source.
_LENGTHS = ((2, 1), (1, 5), (3, 11))


@dataclass(frozen=True)
class _Halves:
    encoder: Form
    decoder: Form
    encode: Run
    decode: Run


def safe_padding(
    encoder: Form,
    decoder: Form,
    encode: Run,
    decode: Run,
    *,
    sizes: Mapping[str, int],
    seed: int = 0,
) -> list[str]:
    """Letters of the source along which a short row may be padded on the right, as it was seen.

    The encoder and one decoder step are run on a source alone, and on the same source padded, in a
    batch with a longer one; states and outputs of the step must agree to the stream tolerance.

    Args:
        encoder: its form.
        decoder: its form.
        encode: runs the encoder.
        decode: runs the decoder.
        sizes: for every axis letter of the encoder's inputs a size that ran.
        seed: the same seed draws the same sources.
    """
    halves = _Halves(encoder, decoder, encode, decode)
    found = [
        letter
        for letter in sorted(masked_letters(encoder.inputs))
        if _holds(halves, {letter}, sizes, seed)
    ]
    return found if len(found) < 2 or _holds(halves, found, sizes, seed) else []


def _holds(halves: _Halves, letters: Collection[str], sizes: Mapping[str, int], seed: int) -> bool:
    try:
        return all(
            _agrees(halves, letters, sizes, lengths, seed + 2 * number)
            for number, lengths in enumerate(_LENGTHS)
        )
    except Exception:  # runtimes raise many types; then rows are not padded
        return False


def _agrees(
    halves: _Halves,
    letters: Collection[str],
    sizes: Mapping[str, int],
    lengths: tuple[int, int],
    seed: int,
) -> bool:
    more, longer = lengths
    short = {letter: size + more + i for i, (letter, size) in enumerate(sizes.items())} | {"B": 1}
    long = short | {letter: short[letter] + longer for letter in letters}
    ports = halves.encoder.inputs
    source, neighbour = draw(ports, short, seed=seed), draw(ports, long, seed=seed + 1)
    both = {p.name: _beside(p, source[p.name], neighbour[p.name]) for p in ports}
    token = draw(halves.decoder.per_step, short | {"T": 1}, seed=seed)
    expected = _step(halves, source, token)
    received = _step(halves, both, {n: np.repeat(a, 2, axis=0) for n, a in token.items()})
    pairs = [(name, array, received[name][:1]) for name, array in expected.items()]
    # What still has the source's length, an attention's weights say, is no longer comparable.
    alike = [(n, e, r) for n, e, r in pairs if e.shape == r.shape]
    bound = TOLERANCES["stream"]
    return bool(alike) and all(compare("padding", n, e, r, bound).passed for n, e, r in alike)


def _beside(port: Port, short: Array, long: Array) -> Array:
    """Both in one array, the short one padded on the right."""
    padded = np.full_like(long, 0 if short.shape == long.shape else mask_mark(port))
    padded[:, : short.shape[1]] = short
    return np.concatenate([padded, long])


def _step(halves: _Halves, source: Arrays, token: Arrays) -> dict[str, Array]:
    """What the decoder gives in its first step, and its states before and after."""
    handed = halves.encode(source)
    batch = len(next(iter(source.values())))
    states = first_states(halves.decoder, handed, batch)
    context = {name: handed[name] for name in halves.decoder.fixed}
    given = halves.decode({**token, **context, **states})
    return {**states, **given}
