"""Keeps large weights out of TensorFlow's freezing and tf2onnx, which copy them many times over.

While tracing they are inputs of the graph; the skeleton turns those inputs into initialisers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import tensorflow as tf

from rnnport.capture.framework import KERAS, framework_of
from rnnport.capture.source import Source

__all__ = ["LARGE", "large_variables", "standing_for"]

# Bytes. Freezing 1 GB of weights takes over 20 GB of memory; below this it does not matter, and
# tf2onnx may fold what it sees.
LARGE = 8 << 20


def large_variables(source: Source) -> list[Any]:
    """Large variables, those of recurrent cells left out: markers carry them already."""
    flatten = getattr(source.layer, "_flatten_layers", None)
    if flatten is None or framework_of(source.layer) is not KERAS:
        return []
    cells = [part.cell for part in flatten() if isinstance(part, keras.layers.RNN)]
    carried = {id(v) for cell in cells for v in getattr(cell, "variables", [])}
    return [v for v in source.layer.variables if id(v) not in carried and _bytes(v) >= LARGE]


def standing_for(variables: Sequence[Any], tensors: Sequence[Any]) -> AbstractContextManager[Any]:
    """A scope in which the variables read as the given tensors."""
    if not variables:
        return nullcontext()
    scope: AbstractContextManager[Any] = keras.StatelessScope(
        state_mapping=list(zip(variables, tensors, strict=True))
    )
    return scope


def _bytes(variable: Any) -> int:
    width: int = tf.as_dtype(variable.dtype).size
    return int(math.prod(variable.shape)) * width
