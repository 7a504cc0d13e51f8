"""The tolerance table. Loosening a bound takes a written reason here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["MEDIAN_RATIO", "TOLERANCES", "WORST_RATIO"]

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
