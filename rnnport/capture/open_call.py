"""Subclassed models and bare layers: shapes come from a signature or from the first call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from rnnport.capture.context import TraceContext
from rnnport.capture.framework import KERAS, framework_of, takes
from rnnport.capture.intercept import intercepting
from rnnport.capture.keras2.recorded import recorded_call
from rnnport.capture.patches import eager_patches
from rnnport.capture.source import Input, Source, name_inputs, pack, structure_of
from rnnport.capture.specs import dtype_of, positional_names, shape_of
from rnnport.errors import MissingSignature

__all__ = ["from_call"]

Arguments = tuple[list[Any], dict[str, Any], bool]


def from_call(model: Any, kind: str, signature: Any) -> Source:
    """A subclassed model or a bare layer: shapes come from the signature or the first call."""
    arguments = _signature_arguments(model, signature) or _recorded_arguments(model)
    if arguments is None:
        raise _unknown_inputs(model)
    args, keywords, declared = arguments
    nest = (args, keywords)
    leaves = tree.flatten(nest)
    if not model.built:
        _build_by_calling(model, args, keywords)
    names = name_inputs(_argument_names(model, args, keywords))
    inputs = tuple(
        Input(name, dtype_of(leaf), shape_of(leaf), assumed_dtype=not declared)
        for name, leaf in zip(names, leaves, strict=True)
    )

    def call(flat: Sequence[Any]) -> Any:
        packed, packed_keywords = pack(nest, flat)
        extra = {"training": False} if takes(model, "training") else {}
        return model(*packed, **packed_keywords, **extra)

    whole: Any = [*args, *keywords.values()]
    return Source(
        name=model.name,
        kind=kind,
        call=call,
        inputs=inputs,
        structure=structure_of(whole[0] if len(whole) == 1 else whole, names),
        layer=model,
    )


def _unknown_inputs(model: Any) -> MissingSignature:
    needed = positional_names(model.call, required=True)
    subject = f"{type(model).__name__} {model.name!r}"
    if model.built and len(needed) > 1:  # Keras records the first argument alone
        return MissingSignature.of(
            subject,
            f"a call of {len(needed)} inputs ({', '.join(needed)}), of which Keras records one",
            "an input_signature",
            "pass input_signature with one tf.TensorSpec for each, in this order",
        )
    return MissingSignature.of(
        subject,
        "a model whose input shapes nobody recorded",
        "a model that was called once, or an input_signature",
        "call it on one batch, or pass input_signature=[tf.TensorSpec([None, None, 8])]",
    )


def _signature_arguments(model: Any, signature: Any) -> Arguments | None:
    if signature is None:
        return None
    if isinstance(signature, dict):
        return [signature], {}, True
    if not isinstance(signature, (list, tuple)):
        return [signature], {}, True
    positional = positional_names(model.call)
    if len(signature) == 1 or len(signature) <= len(positional):
        return list(signature), {}, True
    return [list(signature)], {}, True


def _recorded_arguments(model: Any) -> Arguments | None:
    if framework_of(model) is not KERAS:
        return recorded_call(model)
    shapes = getattr(model, "_build_shapes_dict", None)
    if not model.built or not shapes:
        return None
    if len(shapes) == 1:
        if len(positional_names(model.call, required=True)) > 1:
            return None
        return [_specs(next(iter(shapes.values())))], {}, False
    known = set(positional_names(model.call))
    keywords = {
        name.removesuffix("_shape"): _specs(shape)
        for name, shape in shapes.items()
        if name.removesuffix("_shape") in known
    }
    return [], keywords, False


def _specs(shapes: Any) -> Any:
    """A nest of shapes to a nest of specs; batch is always open."""
    if isinstance(shapes, dict):
        return {key: _specs(value) for key, value in shapes.items()}
    if all(d is None or isinstance(d, int) for d in shapes):
        return keras.KerasTensor((None, *shapes[1:]), dtype="float32")
    return [_specs(shape) for shape in shapes]


def _argument_names(model: Any, args: list[Any], keywords: dict[str, Any]) -> list[str]:
    positional = positional_names(model.call)
    positional += [f"input_{n}" for n in range(len(positional), len(args))]
    names: list[str] = []
    for value, name in [
        *zip(args, positional, strict=False),
        *((v, k) for k, v in keywords.items()),
    ]:
        leaves = tree.flatten(value)
        if isinstance(value, dict):
            names.extend(str(key) for key in sorted(value))
        else:
            names.extend(
                [name] if len(leaves) == 1 else [f"{name}_{i}" for i in range(len(leaves))]
            )
    return names


def _build_by_calling(model: Any, args: list[Any], keywords: dict[str, Any]) -> None:
    """Create the variables by one call on zeros (B=2, open sizes 8).

    Under interception, so that a decorated call keeps no trace: what Keras builds inside a
    tf.function it traces as constants.
    """

    def zeros(spec: Any) -> Any:
        shape = [d or (2 if i == 0 else 8) for i, d in enumerate(shape_of(spec))]
        return tf.zeros(shape, dtype_of(spec))

    args, keywords = tree.map_structure(zeros, (args, keywords))
    with intercepting(TraceContext(), eager_patches()):
        model(*args, **keywords)
