"""The marker op: one TensorFlow node that stands for a recurrent call while tracing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from rnnport.capture.context import TraceContext
from rnnport.graph.skeleton import Spec

__all__ = ["emit"]


def _never_runs(*_: Any) -> Any:
    raise AssertionError("a marker stands for a layer while tracing and is never executed")


def emit(
    context: TraceContext,
    spec: Spec,
    inputs: Sequence[Any],
    shapes: Sequence[Sequence[int | None]],
) -> list[Any]:
    """Put one marker into the TensorFlow graph being traced.

    Args:
        context: remembers the spec under the marker's token.
        spec: what the marker stands for.
        inputs: tensors in the order the spec gives.
        shapes: static shape of each output, None where dynamic.

    Returns:
        One float32 tensor for each shape.
    """
    outputs = tf.numpy_function(_never_runs, list(inputs), [tf.float32] * len(shapes))
    outputs = [outputs] if tf.is_tensor(outputs) else list(outputs)
    token = outputs[0].op.get_attr("token").decode()
    context.specs[token] = spec
    return [tf.ensure_shape(y, shape) for y, shape in zip(outputs, shapes, strict=True)]
