"""A graph run in float64 by the reference evaluator: the truth, where it was proven to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.magnitude import magnitude
from rnnport.runtime.session import open_session

__all__ = ["EXACT", "ExactGraph", "agrees"]

Arrays = Mapping[str, NDArray[Any]]

EXACT = 1e-6
"""Graph in float64 against TensorFlow in float64, times max(1, the largest magnitude).

Not the rounding of float64: the graph's weights and constants are float32 numbers, and those that
were folded into one another at export (a normalisation's scale, say) were rounded once more.
"""


class ExactGraph:
    """A form on the reference evaluator, in float64.

    Args:
        path: the .onnx file.
        outputs: names of the outputs wanted.

    Raises:
        ProviderUnavailable: the evaluator is not installed.
        ProviderLacks: it does not know an operator.
    """

    def __init__(self, path: Path, outputs: Sequence[str]) -> None:
        self._session = open_session(path, "reference")
        self._outputs = list(outputs)

    def __call__(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Input name to array in, output name to array out, floats as float64."""
        found = self._session.run_exact(self._outputs, dict(inputs))
        return dict(zip(self._outputs, found, strict=True))


def agrees(one: Arrays, other: Arrays, bound: float = EXACT) -> bool:
    """Whether all outputs of one are those of the other, to a bound over their magnitude."""
    return all(_near(one[name], array, bound) for name, array in other.items())


def _near(one: NDArray[Any], other: NDArray[Any], bound: float) -> bool:
    if one.shape != other.shape:
        return False
    a, b = one.astype(np.float64), other.astype(np.float64)
    scale = magnitude(b)
    return bool(np.allclose(a, b, rtol=0.0, atol=bound * scale, equal_nan=True))
