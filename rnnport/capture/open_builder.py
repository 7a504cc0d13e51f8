"""TensorFlow 1 code given as a Python function of placeholders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from keras import tree

from rnnport.capture.context import TraceContext
from rnnport.capture.graph_code import GraphCode, build_graph
from rnnport.capture.graph_plain import PlainGraphs
from rnnport.capture.graph_values import open_values
from rnnport.capture.intercept import intercepting
from rnnport.capture.legacy_patches import plain_patches, trace_patches
from rnnport.capture.source import Input, Source, name_inputs, pack, structure_of
from rnnport.capture.specs import positional_names, shape_of
from rnnport.errors import ConversionError, MissingSignature, UnsupportedModel

__all__ = ["from_builder"]

_UNTRAINED = "no checkpoint was given: the variables hold what their initialisers gave"


def from_builder(builder: Any, signature: Any, checkpoint: Any) -> Source:
    """A Python function that builds a TensorFlow 1 graph.

    Args:
        builder: takes placeholders, returns a tensor or a nest of tensors.
        signature: a tf.TensorSpec, or one for each argument.
        checkpoint: prefix, folder, live session, or None.

    Raises:
        MissingSignature: there is no signature.
        ConversionError: the function raised.
        ModelFileError: the checkpoint is not this model's.
    """
    name = getattr(builder, "__name__", type(builder).__name__)
    if signature is None:
        raise MissingSignature.of(
            f"function {name!r}",
            "no input_signature",
            "known shapes and dtypes",
            "pass input_signature=[tf.TensorSpec([None, None, 8], tf.float32)]; decorate "
            "TensorFlow 2 code with tf.function",
        )
    args = list(signature) if isinstance(signature, (list, tuple)) else [signature]
    inputs = _inputs(builder, args)
    names = [i.name for i in inputs]
    code = GraphCode(
        name=name,
        build=lambda flat: builder(*pack(args, flat)),
        dtypes=tuple(i.dtype for i in inputs),
        values=open_values(checkpoint),
    )
    try:
        graphs = PlainGraphs(code, [i.shape for i in inputs], plain_patches())
    except ConversionError as error:
        raise _refusal(code, inputs) or error from None
    if code.values.untrained and code.values.known:
        code.note(_UNTRAINED)
    return Source(
        name=name,
        kind="TensorFlow 1 code",
        call=code.build,
        inputs=inputs,
        structure=structure_of(args[0] if len(args) == 1 else args, names),
        graph=graphs,
    )


def _refusal(code: GraphCode, inputs: Sequence[Input]) -> UnsupportedModel | None:
    """What rnnport has against a cell of code that TensorFlow does not build, which says more."""
    context = TraceContext()
    try:
        build_graph(code, [i.shape for i in inputs], intercepting(context, trace_patches()))
    except UnsupportedModel as refusal:
        return refusal
    except Exception:  # its weights are not known here
        return None
    return None


def _inputs(builder: Any, args: Sequence[Any]) -> tuple[Input, ...]:
    leaves = tree.flatten(args)
    positional = positional_names(builder)
    plain = all(not tree.is_nested(a) for a in args) and len(positional) >= len(args)
    fallback = positional if plain else [f"input_{i}" for i in range(len(leaves))]
    wished = [
        getattr(leaf, "name", None) or name for leaf, name in zip(leaves, fallback, strict=False)
    ]
    return tuple(
        Input(name, tf.as_dtype(leaf.dtype).as_numpy_dtype.__name__, shape_of(leaf))
        for name, leaf in zip(name_inputs(wished), leaves, strict=True)
    )
