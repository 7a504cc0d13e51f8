"""How large the differences from TensorFlow are, by decades."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.artifact.golden import GoldenCase
from rnnport.magnitude import magnitude
from rnnport.parity.facts import Histogram

__all__ = ["histograms"]

Arrays = Mapping[str, NDArray[Any]]

_LOWEST = -12


def histograms(
    golden: Sequence[GoldenCase], given: Sequence[tuple[Arrays, str]], outputs: Sequence[str]
) -> list[Histogram]:
    """One an output, over every element of every case; outputs that are never compared have none.

    Args:
        golden: the cases.
        given: what the runtime gave for each; see run_golden.
        outputs: names of all outputs.
    """
    found = []
    for name in outputs:
        exact, counts = 0, Counter[int]()
        for case, (received, _) in zip(golden, given, strict=True):
            if name not in received or received[name].shape != case.outputs[name].shape:
                continue
            equal, decades = _decades(case.outputs[name], received[name])
            exact += equal
            counts.update(decades)
        if exact or counts:
            found.append(Histogram(output=name, exact=exact, counts=dict(sorted(counts.items()))))
    return found


def _decades(expected: NDArray[Any], received: NDArray[Any]) -> tuple[int, dict[int, int]]:
    e, r = expected.astype(np.float64), received.astype(np.float64)
    finite = np.isfinite(e) & np.isfinite(r)
    scale = magnitude(e)
    off = np.abs(r[finite] - e[finite]) / scale
    apart = off[off > 0]
    values, counts = np.unique(np.floor(np.log10(apart)).astype(int), return_counts=True)
    decades = Counter[int]()
    for value, count in zip(values, counts, strict=True):
        decades[max(int(value), _LOWEST)] += int(count)
    return int((off == 0).sum()), dict(decades)
