"""The model in float64 under TensorFlow: what its float32 outputs ought to be.

A model is rebuilt from its config under the float64 policy and given its own weights. What cannot
be rebuilt (subclassed models, plain functions) has no such twin; then the graph itself, run in
float64 by the reference evaluator, has to do, and the report says so.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.capture.framework import framework_of
from rnnport.capture.open import open_as_is
from rnnport.capture.policy import with_policy
from rnnport.capture.quiet import quiet
from rnnport.capture.reference import Reference
from rnnport.capture.source import Source

__all__ = ["Twin", "float64_twin"]

Arrays = Mapping[str, NDArray[Any]]

_KERAS = ("keras", "tf_keras")


class Twin:
    """The model rebuilt in float64.

    Args:
        source: of the rebuilt model.
    """

    def __init__(self, source: Source) -> None:
        self._reference = Reference(source)
        self._dtypes = {i.name: i.dtype for i in source.inputs}

    def __call__(self, inputs: Arrays) -> list[NDArray[Any]]:
        """Flat outputs in float64, for inputs of the original's dtypes."""
        given = {name: array.astype(self._dtypes[name]) for name, array in inputs.items()}
        return self._reference.eager(given)


def float64_twin(source: Source) -> Twin | None:
    """Rebuild a source in float64, or None where that cannot be done.

    Args:
        source: as export opened it; it is left alone.
    """
    model = source.layer
    framework = framework_of(model) if model is not None else None
    if framework is None or source.graph is not None or not hasattr(model, "get_config"):
        return None
    try:
        with quiet(), _same_luck(), framework.module.utils.custom_object_scope(_own_classes(model)):
            twin = type(model).from_config(with_policy(model.get_config(), "float64"))
            twin.set_weights([_widened(w) for w in model.get_weights()])
            opened = open_as_is(framework, twin, source.kind, None)
    except Exception:  # what a model's own get_config and from_config raise
        return None
    if len(opened.inputs) != len(source.inputs) or opened.structure.kind != source.structure.kind:
        return None
    inputs = tuple(
        replace(own, name=i.name) for own, i in zip(opened.inputs, source.inputs, strict=True)
    )
    return Twin(replace(opened, inputs=inputs))


def _own_classes(model: Any) -> dict[str, type]:
    """Classes of the model's own layers by name, so that from_config finds those of its user."""
    flatten = getattr(model, "_flatten_layers", None)
    layers = [] if flatten is None else list(flatten(include_self=False))
    cells = [getattr(layer, "cell", None) for layer in layers]
    found = (type(layer) for layer in (*layers, *cells) if layer is not None)
    return {c.__name__: c for c in found if c.__module__.split(".")[0] not in _KERAS}


@contextmanager
def _same_luck() -> Iterator[None]:
    """Layers draw seeds when they are made; whoever exports a model draws what he would have."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def _widened(weight: Any) -> NDArray[Any]:
    array = np.asarray(weight)
    # NumPy itself does not know bfloat16 for a float.
    real = array.dtype.kind == "f" or array.dtype.name == "bfloat16"
    return array.astype(np.float64) if real else array
