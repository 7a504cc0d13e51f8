"""How far rounding alone moves a model's outputs: the reason, where there is one, for a difference.

A recurrent network fed with what it never saw in training may be chaotic: rounding errors grow from
step to step, and two correct float32 runs part company. What any runtime can be held to is then how
far the graph's own outputs move when every weight moves by its last bit, which is what it means to
be right in float32 (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., §1.5: backward
error). It is measured only where a comparison failed, and stands in the manifest.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rnnport.artifact.golden import GoldenCase
from rnnport.parity.subject import run_form
from rnnport.spec import Form

__all__ = ["conditioning"]

Arrays = Mapping[str, NDArray[Any]]

_NUDGES = 6
# Beyond this a comparison would prove nothing.
_MOST = 0.05
# Copying more weights six times is no longer a matter of seconds.
_LARGEST = 1 << 28


def conditioning(path: Path, form: Form, cases: Sequence[GoldenCase]) -> dict[str, float]:
    """Outputs by how far last bits move them, over max(1, the largest magnitude).

    Args:
        path: the graph.
        form: what it holds.
        cases: on which it is run; only their inputs are read.

    Returns:
        Output name to the largest move seen; without outputs that are beyond telling.
    """
    model = ir.load(path)
    weights = [
        (value, value.const_value.numpy())
        for value in model.graph.initializers.values()
        if value.const_value is not None and value.const_value.dtype == ir.DataType.FLOAT
    ]
    if sum(array.nbytes for _, array in weights) > _LARGEST:
        return {}
    plain = _outputs(path, form, cases)
    moves: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        nudged = Path(name) / "nudged.onnx"
        for seed in range(_NUDGES):
            rng = np.random.default_rng(seed)
            for value, array in weights:
                value.const_value = ir.tensor(_nudged(array, rng), name=value.name)
            ir.save(model, nudged)
            for case, other in zip(plain, _outputs(nudged, form, cases), strict=True):
                for output, move in _moves(case, other):
                    moves[output] = max(move, moves.get(output, 0.0))
    return {output: move for output, move in moves.items() if move <= _MOST}


def _nudged(array: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Every weight one float up, one down, or as it is; zeros and huge holding weights stay."""
    towards = rng.choice(np.array([-np.inf, np.inf], np.float32), array.shape)
    moved = np.nextafter(array, towards.astype(array.dtype))
    still = (array == 0) | (np.abs(array) > 1e6) | (rng.random(array.shape) < 1 / 3)
    return np.asarray(np.where(still, array, moved), array.dtype)


def _outputs(path: Path, form: Form, cases: Sequence[GoldenCase]) -> list[Arrays]:
    run = run_form(path, form)
    return [run(case.inputs) for case in cases]


def _moves(one: Arrays, other: Arrays) -> list[tuple[str, float]]:
    found = []
    for output, before in one.items():
        if before.dtype.kind == "f" and before.size:
            scale = max(1.0, float(np.abs(before).max()))
            found.append((output, float(np.abs(other[output] - before).max()) / scale))
    return found
