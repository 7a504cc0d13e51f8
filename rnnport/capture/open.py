"""Turns whatever export is given into a Source."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from rnnport.capture.cells import flat_cells
from rnnport.capture.context import TraceContext
from rnnport.capture.intercept import intercepting
from rnnport.capture.open_file import open_file
from rnnport.capture.patches import EAGER_PATCHES, TensorFlowFunction
from rnnport.capture.refuse import refuse_policies
from rnnport.capture.source import Input, Source, name_inputs, pack, structure_of
from rnnport.errors import MissingSignature, UnsupportedModel
from rnnport.spec import Structure

__all__ = ["open_source"]


def open_source(
    model: Any,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    input_signature: Any = None,
) -> Source:
    """Open a model, layer, cell, tf.function or model file.

    Args:
        model: what `rnnport.export` was given.
        custom_objects: for files.
        input_signature: shapes and dtypes of the inputs, where the model does not know them: one
            spec, or a list with one spec for each input. A spec is anything with `.shape` and
            `.dtype` (tf.TensorSpec, keras.InputSpec, an array).

    Raises:
        ModelFileError: the file cannot be read.
        MissingSignature: the inputs' shapes cannot be known.
        UnsupportedModel: not something rnnport exports.
    """
    kind = "live object"
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        model, kind = open_file(path, custom_objects), f"{path.suffix} file"
    if isinstance(model, TensorFlowFunction):
        return _from_function(model, input_signature)
    if not isinstance(model, keras.layers.Layer):
        raise UnsupportedModel.of(
            "model",
            f"{type(model).__module__}.{type(model).__qualname__}",
            "a Keras 3 model, layer or cell, a tf.function, or the path of a model file",
            "rebuild it with Keras 3; tf_keras models and TensorFlow 1 code are not supported yet",
        )
    refuse_policies(model)
    if _is_cell(model):
        return _from_cell(model, kind, input_signature)
    if isinstance(model, keras.Sequential) and not model.built:
        _build_sequential(model, input_signature)
    if getattr(model, "_inputs_struct", None) is None and isinstance(model, keras.Sequential):
        return _from_struct(model, model._functional._inputs_struct, kind)
    if isinstance(model, keras.Model) and hasattr(model, "_inputs_struct"):
        return _from_struct(model, model._inputs_struct, kind)
    return _from_call(model, kind, input_signature)


def _dtype(spec: Any) -> str:
    dtype = getattr(spec, "dtype", None)
    if dtype is None:
        return "float32"
    return str(getattr(dtype, "name", dtype))


def _shape(spec: Any) -> tuple[int | None, ...]:
    return tuple(None if d is None else int(d) for d in spec.shape)


def _from_struct(model: Any, struct: Any, kind: str) -> Source:
    """A functional or built Sequential model: Keras knows everything."""
    leaves = tree.flatten(struct)
    names = name_inputs(_leaf_names(struct, leaves))
    inputs = tuple(
        Input(name, _dtype(leaf), _shape(leaf)) for name, leaf in zip(names, leaves, strict=True)
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
    return [leaf._keras_history.operation.name for leaf in leaves]


def _build_sequential(model: Any, signature: Any) -> None:
    if signature is not None:
        specs = tree.flatten(signature)
        model.build(_shape(specs[0]))
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
    if isinstance(layer, keras.layers.Embedding):
        return (None, None)
    shapes = getattr(layer, "_build_shapes_dict", None)
    return tuple(next(iter(shapes.values()))) if shapes else None


def _from_call(model: Any, kind: str, signature: Any) -> Source:
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
        Input(name, _dtype(leaf), _shape(leaf), assumed_dtype=not declared)
        for name, leaf in zip(names, leaves, strict=True)
    )

    def call(flat: Sequence[Any]) -> Any:
        packed, packed_keywords = pack(nest, flat)
        extra = {"training": False} if model._call_has_training_arg else {}
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
    needed = _positional_names(model.call, required=True)
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


Arguments = tuple[list[Any], dict[str, Any], bool]


def _signature_arguments(model: Any, signature: Any) -> Arguments | None:
    if signature is None:
        return None
    if isinstance(signature, dict):
        return [signature], {}, True
    if not isinstance(signature, (list, tuple)):
        return [signature], {}, True
    positional = _positional_names(model.call)
    if len(signature) == 1 or len(signature) <= len(positional):
        return list(signature), {}, True
    return [list(signature)], {}, True


def _positional_names(function: Any, *, required: bool = False) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        name
        for name, p in inspect.signature(function).parameters.items()
        if p.kind in kinds
        and name not in ("training", "mask", "self")
        and not (required and p.default is not inspect.Parameter.empty)
    ]


def _recorded_arguments(model: Any) -> Arguments | None:
    shapes = getattr(model, "_build_shapes_dict", None)
    if not model.built or not shapes:
        return None
    if len(shapes) == 1:
        if len(_positional_names(model.call, required=True)) > 1:
            return None
        return [_specs(next(iter(shapes.values())))], {}, False
    known = set(_positional_names(model.call))
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
    positional = _positional_names(model.call)
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
        shape = [d or (2 if i == 0 else 8) for i, d in enumerate(_shape(spec))]
        return tf.zeros(shape, _dtype(spec))

    args, keywords = tree.map_structure(zeros, (args, keywords))
    with intercepting(TraceContext(), EAGER_PATCHES):
        model(*args, **keywords)


def _is_cell(layer: Any) -> bool:
    return hasattr(layer, "state_size") and not isinstance(
        layer, (keras.layers.RNN, keras.layers.Bidirectional, keras.Model)
    )


def _from_cell(cell: Any, kind: str, signature: Any) -> Source:
    """A bare cell: (x_t, states…) to (y, states…)."""
    if not cell.built:
        if signature is None:
            raise MissingSignature.of(
                f"cell {cell.name!r}",
                "a cell that was never built",
                "known input features",
                "call cell.build((None, features)), or pass input_signature="
                "[tf.TensorSpec([None, features], tf.float32)]",
            )
        cell.build(_shape(tree.flatten(signature)[0]))
    features = _cell_features(cell, signature)
    states = cell.get_initial_state(batch_size=1)
    states = states if tree.is_nested(states) else [states]
    leaves = tree.flatten(states)
    state_names = _state_names(cell, len(leaves))
    inputs = (
        Input("x", "float32", (None, features)),
        *(
            Input(f"{name}_in", "float32", (None, *leaf.shape[1:]))
            for name, leaf in zip(state_names, leaves, strict=True)
        ),
    )

    def call(flat: Sequence[Any]) -> Any:
        output, finals = cell(flat[0], pack(states, flat[1:]))
        return (output, *tree.flatten(finals))

    names = [i.name for i in inputs]
    return Source(
        name=cell.name,
        kind=f"cell ({kind})",
        call=call,
        inputs=inputs,
        structure=Structure(kind="tuple", items=[Structure(kind="leaf", name=n) for n in names]),
        layer=cell,
        output_names=("y", *(f"{name}_out" for name in state_names)),
    )


def _cell_features(cell: Any, signature: Any) -> int:
    if signature is not None:
        size = _shape(tree.flatten(signature)[0])[-1]
        if size is not None:
            return size
    chain = flat_cells(cell)
    if chain:
        return int(chain[0].kernel.shape[0])
    shapes = getattr(cell, "_build_shapes_dict", None) or {"": (None, 1)}
    return int(next(iter(shapes.values()))[-1])


def _state_names(cell: Any, count: int) -> list[str]:
    chain = flat_cells(cell)
    if chain is None:
        return [f"state{i}" for i in range(count)]
    letters = {keras.layers.LSTMCell: ("h", "c")}
    per_cell = [
        letters[keras.layers.LSTMCell] if isinstance(c, keras.layers.LSTMCell) else ("h",)
        for c in chain
    ]
    if len(chain) == 1:
        return list(per_cell[0])
    return [f"cell{i}_{letter}" for i, group in enumerate(per_cell) for letter in group]


def _from_function(function: Any, signature: Any) -> Source:
    """A tf.function with a signature of its own or a given one."""
    signature = signature if signature is not None else function.input_signature
    if signature is None:
        raise MissingSignature.of(
            "tf.function",
            "no input_signature",
            "known shapes and dtypes",
            "pass input_signature=[tf.TensorSpec([None, None, 8], tf.float32)]",
        )
    args = list(signature) if isinstance(signature, (list, tuple)) else [signature]
    leaves = tree.flatten(args)
    positional = _positional_names(function.python_function)
    plain = all(not tree.is_nested(a) for a in args) and len(positional) >= len(args)
    names = name_inputs(
        positional[: len(args)] if plain else [f"input_{i}" for i in range(len(leaves))]
    )
    inputs = tuple(
        Input(n, np.dtype(leaf.dtype.as_numpy_dtype).name, _shape(leaf))
        for n, leaf in zip(names, leaves, strict=True)
    )
    return Source(
        name=getattr(function.python_function, "__name__", "function"),
        kind="tf.function",
        call=lambda flat: function(*pack(args, flat)),
        inputs=inputs,
        structure=structure_of(args[0] if len(args) == 1 else args, names),
    )
