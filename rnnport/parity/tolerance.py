"""The tolerance table. Loosening a bound takes a written reason here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["BUDGETS", "MEDIAN_RATIO", "TOLERANCES", "WORST_RATIO", "Budget"]

TOLERANCES: Mapping[str, float] = MappingProxyType(
    {
        "numpy": 1e-6,  # numpy step against Keras
        "cpu": 1e-5,  # CPU float32 against TensorFlow, T up to 64
        "cuda": 1e-4,  # CUDA float32 with TF32 off
        "openvino": 1e-4,
        "web": 1e-5,  # the CPU kernels, compiled to WebAssembly
        "reference": 1e-5,  # float64 rounded once, so the difference is TensorFlow's own
        "stream": 1e-6,  # stream against whole, same runtime
    }
)
"""Comparison to bound, which is times max(1, largest expected magnitude) of the output."""

MEDIAN_RATIO = 1.2
WORST_RATIO = 3.0
"""Law 7: error against a float64 run, as a multiple of TensorFlow's own."""


@dataclass(frozen=True)
class Budget:
    """What a smaller precision may cost: quadratic mean error over the output's spread.

    Attributes:
        ordinary: on golden cases of shapes and masks, each of them, and on fresh inputs.
        extreme: on inputs times 1000 and on a thousand steps.
        stream: one chunk, any chunks and steps of a form with states against one another, times
            max(1, largest magnitude).
    """

    ordinary: float
    extreme: float
    stream: float


BUDGETS: Mapping[str, Budget] = MappingProxyType(
    {
        # 11 bits of mantissa: 5e-4 a rounding; ten times that leaves room for recurrence. States
        # are rounded wherever a chunk ends.
        "float16": Budget(0.005, 0.05, 2e-3),
        # 7 and 8 bits: random stacks pay 1 to 2 % of the spread, and layers add up. Inputs times
        # 1000 leave gates on the edge, where 8 bits tip some of them: 12 to 20 %. Forms with states
        # compute in float32, by weights in int8.
        "int8": Budget(0.05, 0.5, TOLERANCES["stream"]),
    }
)
"""A precision is chosen: this is a budget and not equality, and what was paid stands beside it."""
