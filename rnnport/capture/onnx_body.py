"""tf2onnx behind one door: a concrete function in, an ONNX model out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx
import tensorflow as tf

from rnnport.capture.block_ops import BLOCK_OPS
from rnnport.capture.extra_ops import EXTRA_OPS
from rnnport.capture.quiet import quiet
from rnnport.capture.select_ops import SELECT_OPS
from rnnport.errors import ConversionError

__all__ = ["activation_body", "convert", "convert_graph"]

# tf2onnx keeps the functions of the graph in hand in module globals.
_ONE_AT_A_TIME = threading.Lock()

Handlers = Mapping[str, tuple[Callable[..., Any], list[Any]]]


class _Traced:
    """Hands tf2onnx an already traced function."""

    def __init__(self, concrete: Any) -> None:
        self._concrete = concrete

    def get_concrete_function(self, *_: Any) -> Any:
        return self._concrete


def convert(
    concrete: Any,
    *,
    opset: int,
    handlers: Handlers | None = None,
    domains: Sequence[tuple[str, int]] = (),
) -> onnx.ModelProto:
    """Convert a traced function with tf2onnx.

    Args:
        concrete: a ConcreteFunction.
        opset: version of the default domain.
        handlers: TensorFlow op type to tf2onnx custom handler.
        domains: extra (domain, version) pairs the handlers use.

    Raises:
        ConversionError: tf2onnx failed; carries its own words.
    """

    def run(tf2onnx: Any, **options: Any) -> Any:
        return tf2onnx.from_function(_Traced(concrete), input_signature=(), **options)

    return _converted(run, opset, handlers, domains)


def convert_graph(
    graph_def: Any,
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    opset: int,
    handlers: Handlers | None = None,
    domains: Sequence[tuple[str, int]] = (),
) -> onnx.ModelProto:
    """Convert a frozen graph of TensorFlow 1; as `convert`.

    Args:
        graph_def: the graph, without variables.
        inputs: names of its placeholders, "x:0".
        outputs: names of its output tensors.
        opset: version of the default domain.
        handlers: TensorFlow op type to tf2onnx custom handler.
        domains: extra (domain, version) pairs the handlers use.
    """

    def run(tf2onnx: Any, **options: Any) -> Any:
        names = {"input_names": list(inputs), "output_names": list(outputs)}
        return tf2onnx.from_graph_def(graph_def, **names, **options)

    return _converted(run, opset, handlers, domains)


def _converted(
    run: Callable[..., Any],
    opset: int,
    handlers: Handlers | None,
    domains: Sequence[tuple[str, int]],
) -> onnx.ModelProto:
    with _ONE_AT_A_TIME, quiet():
        from tf2onnx import convert as tf2onnx_convert
        from tf2onnx import utils as tf2onnx_utils

        try:
            proto, _ = run(
                tf2onnx_convert,
                opset=opset,
                custom_op_handlers={**EXTRA_OPS, **SELECT_OPS, **BLOCK_OPS, **(handlers or {})},
                extra_opset=[tf2onnx_utils.make_opsetid(d, v) for d, v in domains],
            )
        except Exception as error:
            raise ConversionError.of(
                "conversion of the TensorFlow graph",
                f"{type(error).__name__}: {error}",
                "a graph tf2onnx can convert",
                "replace the operation named, or report it with the model",
            ) from error
    assert isinstance(proto, onnx.ModelProto)
    return proto


def activation_body(function: Callable[[Any], Any]) -> bytes:
    """The ONNX graph of an activation function, float32 (B, U) to (B, U).

    Args:
        function: a Python function or layer over TensorFlow tensors.
    """
    spec = tf.TensorSpec([None, None], tf.float32, name="x")
    traced = tf.function(lambda x: tf.identity(function(x)), autograph=False)
    concrete = traced.get_concrete_function(spec)
    return bytes(convert(concrete, opset=18).SerializeToString())
