"""Rows of a batch do not depend on one another: on their number, order, or garbage (law 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.parity.compare import Comparison, compare_all
from rnnport.parity.subject import Run, attempt
from rnnport.parity.tolerance import TOLERANCES
from rnnport.samples import draw, in_words, is_real, masks_anything
from rnnport.spec import Check, Form

__all__ = ["check_isolation"]

Arrays = Mapping[str, NDArray[Any]]

_SEED = 80_000
_ROWS = 5


def check_isolation(
    model: Form,
    run: Run,
    sizes: Mapping[str, int],
    seed: int = 0,
    *,
    tolerance: float = TOLERANCES["cpu"],
    moves: Mapping[str, float] | None = None,
) -> list[Check]:
    """Compare rows of a batch with the same rows in other company.

    In a batch of the same size they must agree to the streaming bound. Another size is another
    product of matrices, which rounds otherwise, as two runtimes do: there the tolerance holds.

    Args:
        model: the whole form.
        run: input name to array in, output name to array out.
        sizes: of every axis letter; B is at least 3.
        seed: the same seed draws the same.
        tolerance: of the backend, from TOLERANCES.
        moves: as in compare_all: a row's place in a batch changes how it is rounded.

    Returns:
        The checks; none where the model takes one row, or no output has the batch's axis. A batch
        of fixed size is compared with batches of that size. Outputs with an axis that the values
        decide on, such as a loop that ends when all rows have, are left out.
    """
    axis = model.inputs[0].shape[0]
    batch = sizes["B"] if axis == "B" else axis
    inputs = [port.name for port in model.inputs if port.shape[:1] == [axis]]
    outputs = [
        port.name
        for port in model.outputs
        if port.shape[:1] == [axis] and all(isinstance(a, int) or a in sizes for a in port.shape)
    ]
    if not outputs or not isinstance(batch, int) or batch < 2:
        return []
    mask = "interior" if masks_anything(model.inputs) else "none"
    whole = draw(model.inputs, sizes, mask=mask, seed=_SEED + seed)
    expected, note = attempt(run, whole)
    picked = {name: expected[name] for name in outputs if name in expected}
    told = in_words(sizes)
    same: list[Comparison] = []
    other: list[Comparison] = []
    for name, given, taken, left in _companies(model, whole, inputs, batch, sizes, seed):
        resized = len(given[inputs[0]]) != batch
        if resized and axis != "B":
            continue
        received, trouble = attempt(run, given)
        (other if resized else same).append(
            Comparison(
                f"{name}, {told}",
                {n: array[left] for n, array in picked.items()},
                {n: _rows(received[n], taken) for n in picked if n in received},
                note or trouble,
                "isolation",
            )
        )
    checks: list[Check] = []
    for found, bound in ((other, tolerance), (same, TOLERANCES["stream"])):
        if found:
            checks += compare_all("isolation", found, outputs, bound, moves, constants=True)
    return checks


_Company = tuple[str, Arrays, Sequence[int], Sequence[int]]
"""Name, inputs, rows of what they give, and the rows of the first run these must equal."""


def _companies(
    model: Form,
    whole: Arrays,
    names: Sequence[str],
    batch: int,
    sizes: Mapping[str, int],
    seed: int,
) -> Iterator[_Company]:
    rng = np.random.default_rng(_SEED + seed)

    def rows(index: Sequence[int]) -> Arrays:
        return {n: a[list(index)] if n in names else a for n, a in whole.items()}

    alone = batch - 1
    yield "a row alone", rows([alone]), [0], [alone]
    yield "the first rows alone", rows(range(2)), [0, 1], [0, 1]
    order = [int(i) for i in rng.permutation(batch)]
    yield "rows in another order", rows(order), list(range(batch)), order
    others = list(range(1, batch))
    stranger = draw(model.inputs, sizes, seed=_SEED + seed + 500)
    yield "beside another row", _with_row(whole, names, lambda n: stranger[n][0]), others, others
    real = [p.name for p in model.inputs if p.name in names and is_real(p)]
    for value in (np.nan, np.inf, -np.inf) if real else ():
        spoilt = _with_row(whole, real, lambda n, v=value: np.full_like(whole[n][0], v))  # type: ignore[misc]
        yield f"beside a row of {value}", spoilt, others, others


def _with_row(
    whole: Arrays, names: Sequence[str], row: Callable[[str], NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """The same batch with another row 0."""
    made = dict(whole)
    for name in names:
        made[name] = whole[name].copy()
        made[name][0] = row(name)
    return made


def _rows(array: NDArray[Any], rows: Sequence[int]) -> NDArray[Any]:
    """Those rows; everything where there are not as many, which no comparison then takes."""
    return array[list(rows)] if array.ndim and len(array) > max(rows) else array
