"""What tf_keras remembers of how a layer or model was called."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from keras import tree

__all__ = ["built_shape", "recorded_call"]


def recorded_call(model: Any) -> tuple[list[Any], dict[str, Any], bool] | None:
    """Specs of the tensors of the first call, batch open: positional, by name, and declared.

    Args:
        model: a layer or model of tf_keras.

    Returns:
        None where it was never called.
    """
    recorded = model._get_save_spec(dynamic_batch=True, inputs_only=False)
    if recorded is None:
        shape = built_shape(model)
        return None if shape is None else ([tf.TensorSpec((None, *shape[1:]))], {}, False)
    args, keywords = recorded
    given = {
        name: value
        for name, value in keywords.items()
        if name not in ("training", "mask") and _is_specs(value)
    }
    return [value for value in args if _is_specs(value)], given, True


def built_shape(layer: Any) -> tuple[int | None, ...] | None:
    """The one input shape a layer was built with, if there is one."""
    shape = getattr(layer, "_build_input_shape", None) or _specified(layer)
    sizes = tuple(shape) if isinstance(shape, (tf.TensorShape, tuple, list)) else ()
    plain = sizes and all(size is None or isinstance(size, int) for size in sizes)
    return sizes if plain else None


def _specified(layer: Any) -> Any:
    """The shape a built recurrent layer asks for, its length open."""
    spec = getattr(layer, "input_spec", None)
    first = spec[0] if isinstance(spec, (list, tuple)) and spec else spec
    return getattr(first, "shape", None) if layer.built else None


def _is_specs(value: Any) -> bool:
    leaves = tree.flatten(value)
    return bool(leaves) and all(isinstance(leaf, tf.TensorSpec) for leaf in leaves)
