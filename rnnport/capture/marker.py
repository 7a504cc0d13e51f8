"""The marker op: one TensorFlow node that stands for a recurrent call while tracing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from rnnport.capture.context import TraceContext
from rnnport.graph.skeleton import Spec

__all__ = ["emit", "marker_token"]


def _never_runs(*_: Any) -> Any:
    raise AssertionError("a marker stands for a layer while tracing and is never executed")


def marker_token(output: Any) -> str:
    """The token of the marker that gives a tensor."""
    return str(output.op.get_attr("token").decode())


def emit(
    context: TraceContext,
    spec: Spec,
    inputs: Sequence[Any],
    shapes: Sequence[Sequence[int | None]],
    dtypes: Sequence[Any] | None = None,
) -> list[Any]:
    """Put one marker into the TensorFlow graph being traced.

    Args:
        context: remembers the spec under the marker's token.
        spec: what the marker stands for.
        inputs: tensors in the order the spec gives.
        shapes: static shape of each output, None where dynamic.
        dtypes: of each output; float32 where None.

    Returns:
        One tensor for each shape.
    """
    kinds = [tf.float32] * len(shapes) if dtypes is None else list(dtypes)
    outputs = tf.numpy_function(_never_runs, list(inputs), kinds)
    outputs = [outputs] if tf.is_tensor(outputs) else list(outputs)
    context.specs[marker_token(outputs[0])] = spec
    return [tf.ensure_shape(y, shape) for y, shape in zip(outputs, shapes, strict=True)]
