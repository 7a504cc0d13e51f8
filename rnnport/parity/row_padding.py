"""The padding law of a whole model: a row padded beside a longer one gives what it gives alone.

Nothing in a graph tells whether that holds, so it is tried. Axis letters: B batch, T time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.parity.compare import compare
from rnnport.parity.tolerance import TOLERANCES
from rnnport.samples import draw, filler, mask_mark, stepped_letters
from rnnport.spec import Form, Port

__all__ = ["safe_row_padding"]

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Run = Callable[[Arrays], Arrays]

# How much longer than a length that ran the row is (None: one step), and its neighbour than the
# row; which of the row's own steps are masked.
_TRIALS = ((2, 1, "none"), (1, 5, "interior"), (3, 11, "none"), (2, 7, "right"), (None, 6, "none"))


def safe_row_padding(form: Form, run: Run, *, sizes: Mapping[str, int], seed: int = 0) -> list[str]:
    """Letters along which a short row may be padded on the right, as it was seen.

    The model is run on a row alone, and on the same row padded, in a batch with a longer one. Every
    output must agree to the stream tolerance, on the row's own steps where it has any. Inputs that
    mask nothing are padded with garbage: of these the model must never look ahead.

    Args:
        form: the whole form.
        run: input name to array in, output name to array out.
        sizes: for every axis letter of the inputs a size that ran.
        seed: the same seed draws the same rows.
    """
    if any(port.shape[:1] != ["B"] for port in (*form.inputs, *form.outputs)):
        return []
    letters = sorted(stepped_letters(form.inputs))
    found = [letter for letter in letters if _holds(form, run, {letter}, sizes, seed)]
    return found if len(found) < 2 or _holds(form, run, found, sizes, seed) else []


def _holds(
    form: Form, run: Run, letters: Collection[str], sizes: Mapping[str, int], seed: int
) -> bool:
    try:
        return all(
            _agrees(form, run, letters, sizes, trial, seed + 2 * number)
            for number, trial in enumerate(_TRIALS)
        )
    except Exception:  # runtimes raise many types; then rows are not padded
        return False


def _agrees(
    form: Form,
    run: Run,
    letters: Collection[str],
    sizes: Mapping[str, int],
    trial: tuple[int | None, int, str],
    seed: int,
) -> bool:
    more, longer, mask = trial
    short = {a: n + (more or 0) + i for i, (a, n) in enumerate(sizes.items())} | {"B": 1}
    if more is None:
        short |= dict.fromkeys(letters, 1)
    long = short | {letter: short[letter] + longer for letter in letters}
    row = draw(form.inputs, short, mask=mask, seed=seed)
    neighbour = draw(form.inputs, long, seed=seed + 1)
    try:
        expected = run(row)
    except Exception:
        if more is None:  # too short for the model: no such row will ever be padded
            return True
        raise
    garbage = draw(form.inputs, long, seed=seed + 500)
    both = {
        p.name: _beside(p, row[p.name], neighbour[p.name], garbage[p.name]) for p in form.inputs
    }
    received = run(both)
    bound = TOLERANCES["stream"]
    return all(
        compare("padding", p.name, expected[p.name], _own(p, received[p.name], short), bound).passed
        for p in form.outputs
    )


def _beside(port: Port, short: Array, long: Array, garbage: Array) -> Array:
    """Both in one array, the short one padded on the right."""
    marked = mask_mark(port) is not None or port.dtype == "bool"
    padded = np.full_like(long, filler(port)) if marked else garbage
    padded[:, : short.shape[1]] = short
    return np.concatenate([padded, long])


def _own(port: Port, array: Array, sizes: Mapping[str, int]) -> Array:
    """The first row's part of an output, each axis whose letter an input has cut to its size."""
    own = [slice(sizes.get(axis) if isinstance(axis, str) else None) for axis in port.shape[1:]]
    return array[(slice(1), *own)]
