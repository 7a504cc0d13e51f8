"""Turns whatever export is given into a Source."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from rnnport.capture.open_call import from_call
from rnnport.capture.open_cell import from_cell, is_cell
from rnnport.capture.open_file import open_file
from rnnport.capture.open_function import from_function
from rnnport.capture.open_struct import build_sequential, from_struct
from rnnport.capture.patches import TensorFlowFunction
from rnnport.capture.refuse import refuse_policies
from rnnport.capture.source import Source
from rnnport.errors import UnsupportedModel

__all__ = ["open_source"]


def open_source(
    model: Any,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    input_signature: Any = None,
    checkpoint: Any = None,
) -> Source:
    """Open a model, layer, cell, tf.function, TensorFlow 1 code or a model file.

    Args:
        model: what `rnnport.export` was given.
        custom_objects: for files.
        input_signature: shapes and dtypes of the inputs, where the model does not know them: one
            spec, or a list with one spec for each input. A spec is anything with `.shape` and
            `.dtype` (tf.TensorSpec, keras.InputSpec, an array).
        checkpoint: where the variables of TensorFlow 1 code come from.

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
        return from_function(model, input_signature)
    if inspect.isroutine(model) or isinstance(model, functools.partial):
        from rnnport.capture.open_builder import (
            from_builder,
        )  # imports tf_keras, a second each time

        return from_builder(model, input_signature, checkpoint)
    if not isinstance(model, keras.layers.Layer):
        raise UnsupportedModel.of(
            "model",
            f"{type(model).__module__}.{type(model).__qualname__}",
            "a Keras 3 model, layer or cell, a tf.function, or the path of a model file",
            "rebuild it with Keras 3; tf_keras models and TensorFlow 1 code are not supported yet",
        )
    refuse_policies(model)
    if is_cell(model):
        return from_cell(model, kind, input_signature)
    if isinstance(model, keras.Sequential) and not model.built:
        build_sequential(model, input_signature)
    if getattr(model, "_inputs_struct", None) is None and isinstance(model, keras.Sequential):
        return from_struct(model, model._functional._inputs_struct, kind)
    if isinstance(model, keras.Model) and hasattr(model, "_inputs_struct"):
        return from_struct(model, model._inputs_struct, kind)
    return from_call(model, kind, input_signature)
