"""Functional and Sequential models: Keras knows their inputs, or can be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import tree

from rnnport.capture.framework import KERAS, framework_of
from rnnport.capture.keras2.recorded import built_shape
from rnnport.capture.source import Input, Source, name_inputs, pack, structure_of
from rnnport.capture.specs import dtype_of, shape_of
from rnnport.errors import MissingSignature

__all__ = ["build_sequential", "from_struct"]


def from_struct(model: Any, struct: Any, kind: str) -> Source:
    """A functional or built Sequential model: Keras knows everything."""
    leaves = tree.flatten(struct)
    names = name_inputs(_leaf_names(struct, leaves))
    inputs = tuple(
        Input(name, dtype_of(leaf), shape_of(leaf))
        for name, leaf in zip(names, leaves, strict=True)
    )
    outputs = tuple(getattr(model, "output_names", None) or ())
    return Source(
        name=model.name,
        kind=kind,
        call=lambda flat: model(pack(struct, flat), training=False),
        inputs=inputs,
        structure=structure_of(struct, names),
        layer=model,
        output_names=outputs,
    )


def _leaf_names(struct: Any, leaves: Sequence[Any]) -> list[str]:
    if isinstance(struct, dict) and len(struct) == len(leaves):
        return [str(key) for key in sorted(struct)]
    return [_layer_of(leaf._keras_history).name for leaf in leaves]


def _layer_of(history: Any) -> Any:
    """The input layer a tensor stems from."""
    return history.operation if hasattr(history, "operation") else history.layer


def build_sequential(model: Any, signature: Any) -> None:
    """Build a Sequential that never was: from the signature, or from what its first layer says."""
    if signature is not None:
        specs = tree.flatten(signature)
        model.build(shape_of(specs[0]))
        return
    shape = _first_shape(model.layers[0]) if model.layers else None
    if shape is None:
        raise MissingSignature.of(
            f"Sequential model {model.name!r}",
            "a model that was never built or called",
            "known input features",
            "call model.build((None, None, features)), or pass input_signature="
            "[tf.TensorSpec([None, None, features], tf.float32)]",
        )
    model.build(shape)


def _first_shape(layer: Any) -> tuple[int | None, ...] | None:
    framework = framework_of(layer)
    if framework is not None and isinstance(layer, framework.layers.Embedding):
        return (None, None)
    if framework is not KERAS:
        return built_shape(layer)
    shapes = getattr(layer, "_build_shapes_dict", None)
    return tuple(next(iter(shapes.values()))) if shapes else None
