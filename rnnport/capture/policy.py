"""Models of other dtype policies, computed in float32.

ONNX's recurrent operators and onnxruntime's kernels are at home in float32. A model under
mixed_float16, mixed_bfloat16, float16 or float64 is therefore traced, and run for reference, with
the policies of its layers exchanged for float32; its variables stay what they are, and everything
is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from keras import tree
from numpy.typing import NDArray

from rnnport.capture.framework import KERAS, framework_of
from rnnport.capture.source import Source

__all__ = ["in_float32", "other_policies", "own_outputs", "policy_note", "rebuilt", "with_policy"]

Arrays = Mapping[str, NDArray[Any]]


def other_policies(model: Any) -> dict[str, list[str]]:
    """Policies other than float32, and the names of the layers under each."""
    named: dict[str, list[str]] = {}
    layers = _layers(model)
    owned = {id(cell) for layer in layers for cell in _inner_cells(layer)}
    for layer in layers:
        policy = layer.dtype_policy
        dtypes = {str(policy.compute_dtype), str(policy.variable_dtype)}
        if id(layer) in owned:  # its layer is named
            continue
        if any(d.startswith(("float", "bfloat")) and d != "float32" for d in dtypes):
            named.setdefault(policy.name, []).append(layer.name)
    return named


def _layers(model: Any) -> list[Any]:
    flatten = getattr(model, "_flatten_layers", None)
    inner = [] if flatten is None else flatten(include_self=False)
    return [model, *(layer for layer in inner if layer is not model)]


def _inner_cells(layer: Any) -> list[Any]:
    """The cells of a recurrent layer or stack that compute as their owner does."""
    cell = getattr(layer, "cell", None)
    owned = [cell] if cell is not None else list(getattr(layer, "cells", None) or [])
    return [c for c in owned if _policy_name(c) == _policy_name(layer)]


def _policy_name(layer: Any) -> str | None:
    name: str | None = getattr(getattr(layer, "dtype_policy", None), "name", None)
    return name


def in_float32(source: Source, model: Any) -> Source:
    """The source computed in float32, and what it computes by itself beside it.

    Args:
        source: of the model.
        model: whose layers are under other policies.
    """

    def call(flat: Sequence[Any]) -> Any:
        with _float32(model):
            return source.call(flat)

    return replace(source, call=call, original=source.call)


@contextmanager
def _float32(model: Any) -> Iterator[None]:
    """Layers compute in float32; those of Keras 3 cast their variables themselves."""
    saved = [(layer, layer._dtype_policy) for layer in _layers(model)]
    try:
        for layer, policy in saved:
            _set_policy(layer, _float32_over(layer, str(policy.variable_dtype)))
        yield
    finally:
        for layer, policy in saved:
            _set_policy(layer, policy)


def _set_policy(layer: Any, policy: Any) -> None:
    layer._dtype_policy = policy
    if hasattr(layer, "_compute_dtype_object"):  # tf_keras's own note of it
        layer._compute_dtype_object = tf.as_dtype(policy.compute_dtype)


def _float32_over(layer: Any, variables: str) -> Any:
    """The float32 policy over variables of another dtype."""
    if framework_of(layer) is not KERAS:
        import tf_keras

        return tf_keras.mixed_precision.Policy("float32")
    policy = KERAS.module.DTypePolicy("float32")
    if variables != "float32":
        policy._variable_dtype = variables
    return policy


_POLICIES = (
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "mixed_float16",
    "mixed_bfloat16",
)


def rebuilt(model: Any) -> Any:
    """A functional tf_keras model rebuilt in float32 with the same weights.

    tf_keras casts no variables but those of mixed policies, so that float64 and float16 cannot be
    exchanged underneath.
    """
    twin = type(model).from_config(with_policy(model.get_config(), "float32"))
    twin.set_weights([np.asarray(w, np.float32) for w in model.get_weights()])
    return twin


def with_policy(config: Any, policy: str) -> Any:
    """A model's config with one dtype policy throughout.

    Args:
        config: as get_config gives it.
        policy: "float32" or "float64".
    """
    if isinstance(config, dict):
        return {key: with_policy(value, policy) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(with_policy(value, policy) for value in config)
    return policy if isinstance(config, str) and config in _POLICIES else config


def own_outputs(call: Callable[[Sequence[Any]], Any], inputs: Sequence[Any]) -> list[NDArray[Any]]:
    """What a model gives under its own policies, in float64, for comparison."""
    leaves = tree.flatten(call([tf.constant(x) for x in inputs]))
    return [np.asarray(tf.cast(leaf, tf.float64)) for leaf in leaves if leaf is not None]


def policy_note(policies: Mapping[str, Sequence[str]], differences: Sequence[float] | None) -> str:
    """What the manifest says.

    Args:
        policies: as other_policies gives them.
        differences: by how much each output differs between the two, over max(1, its largest
            magnitude); None where the model does not run as it is.
    """
    told = "; ".join(f"{name} ({', '.join(layers[:4])})" for name, layers in policies.items())
    note = f"computed in float32, though layers are under other dtype policies: {told}"
    if differences is None:
        return f"{note}. The model does not run here as it is, so that nothing was compared"
    return f"{note}. Run as it is, the model differs by up to {max(differences, default=0.0):.1e}"
