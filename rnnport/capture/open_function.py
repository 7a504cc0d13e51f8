"""Functions decorated with tf.function."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import tree

from rnnport.capture.source import Input, Source, name_inputs, pack, structure_of
from rnnport.capture.specs import positional_names, shape_of
from rnnport.errors import MissingSignature

__all__ = ["from_function"]


def from_function(function: Any, signature: Any) -> Source:
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
    positional = positional_names(function.python_function)
    plain = all(not tree.is_nested(a) for a in args) and len(positional) >= len(args)
    names = name_inputs(
        positional[: len(args)] if plain else [f"input_{i}" for i in range(len(leaves))]
    )
    inputs = tuple(
        Input(n, np.dtype(leaf.dtype.as_numpy_dtype).name, shape_of(leaf))
        for n, leaf in zip(names, leaves, strict=True)
    )
    return Source(
        name=getattr(function.python_function, "__name__", "function"),
        kind="tf.function",
        call=lambda flat: function(*pack(args, flat)),
        inputs=inputs,
        structure=structure_of(args[0] if len(args) == 1 else args, names),
    )
