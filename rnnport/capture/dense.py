"""Dense over a sequence as one matrix product.

Keras contracts a tensor of rank 3 by tf.tensordot, which becomes nine ONNX nodes of reshaping
around the product; ONNX's MatMul takes such a tensor as it is.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from rnnport.capture.context import TraceContext

__all__ = ["dense_call"]


def dense_call(
    context: TraceContext, original: Any, layer: Any, inputs: Any, training: Any = None
) -> Any:
    """Dense.call: activation(x · kernel + bias), whatever the rank of x."""
    plain = layer.quantization_mode is None and not layer.lora_enabled
    rank = len(inputs.shape)
    if not plain or rank < 3 or inputs.dtype != tf.float32:
        return original(layer, inputs, training=training)
    y = tf.matmul(inputs, keras.ops.convert_to_tensor(layer.kernel))
    if layer.bias is not None:
        y = y + keras.ops.convert_to_tensor(layer.bias)
    return y if layer.activation is None else layer.activation(y)
