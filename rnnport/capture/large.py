"""Keeps large weights out of TensorFlow's freezing and tf2onnx, which copy them many times over.

While tracing they are inputs of the graph; the skeleton turns those inputs into initialisers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    flatten, framework = getattr(source.layer, "_flatten_layers", None), framework_of(source.layer)
    if flatten is None or framework is None:
        return []
    cells = [part.cell for part in flatten() if isinstance(part, framework.layers.RNN)]
    carried = {id(v) for cell in cells for v in getattr(cell, "variables", [])}
    return [v for v in source.layer.variables if id(v) not in carried and _bytes(v) >= LARGE]


@contextmanager
def standing_for(
    source: Source, variables: Sequence[Any], tensors: Sequence[Any]
) -> Iterator[None]:
    """A scope in which the variables read as the given tensors.

    Args:
        source: whose variables they are.
        variables: as large_variables gives them.
        tensors: one for each.
    """
    if not variables:
        yield
    elif framework_of(source.layer) is KERAS:
        with keras.StatelessScope(state_mapping=list(zip(variables, tensors, strict=True))):
            yield
    else:
        with _in_place(source.layer, {id(v): t for v, t in zip(variables, tensors, strict=True)}):
            yield


@contextmanager
def _in_place(model: Any, tensors: Mapping[int, Any]) -> Iterator[None]:
    """Tensors in the attributes of tf_keras's layers, past the tracking of what is set there."""
    places = [
        (vars(layer), name, value)
        for layer in model._flatten_layers()
        for name, value in vars(layer).items()
        if id(value) in tensors
    ]
    try:
        for attributes, name, value in places:
            attributes[name] = tensors[id(value)]
        yield
    finally:
        for attributes, name, value in places:
            attributes[name] = value


def _bytes(variable: Any) -> int:
    width: int = tf.as_dtype(variable.dtype).size
    return int(math.prod(variable.shape)) * width
