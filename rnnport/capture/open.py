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
from rnnport.errors import Reason, UnsupportedModel, UsageError
from rnnport.model_file import check_model_file, is_graph

__all__ = ["open_source"]


def open_source(
    model: Any,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    input_signature: Any = None,
    checkpoint: Any = None,
    states: Mapping[str, str] | None = None,
) -> Source:
    """Open a model, layer, cell, tf.function, TensorFlow 1 code or a model file.

    Args:
        model: what `rnnport.export` was given.
        custom_objects: for files.
        input_signature: shapes and dtypes of the inputs, where the model does not know them: one
            spec, or a list with one spec for each input. A spec is anything with `.shape` and
            `.dtype` (tf.TensorSpec, keras.InputSpec, an array).
        checkpoint: where the variables of TensorFlow 1 code come from.
        states: of a graph, the tensor that takes a state to the one that gives its next value.

    Raises:
        ModelFileError: the file cannot be read.
        MissingSignature: the inputs' shapes cannot be known.
        UsageError: checkpoint or states for a model that has none to be told.
        UnsupportedModel: not something rnnport exports.
    """
    kind = "live object"
    _refuse_misplaced(model, checkpoint, states)
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        if is_graph(path):
            from rnnport.capture.open_graph import from_frozen, from_saved_model

            check_model_file(path)
            return (from_saved_model if path.is_dir() else from_frozen)(path, states)
        model, kind = open_file(path, custom_objects), f"{path.suffix} file"
    if isinstance(model, TensorFlowFunction):
        return from_function(model, input_signature)
    if _is_code(model):
        from rnnport.capture.open_builder import (
            from_builder,
        )  # imports tf_keras, a second each time

        return from_builder(model, input_signature, checkpoint)
    if not isinstance(model, keras.layers.Layer):
        raise UnsupportedModel.of(
            "model",
            f"{type(model).__module__}.{type(model).__qualname__}",
            "a Keras 3 model, layer or cell, a tf.function, or the path of a model file",
            "rebuild it with Keras 3, or pass TensorFlow 1 code as a function of placeholders",
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


def _is_code(model: Any) -> bool:
    """A plain Python function: TensorFlow 1 code."""
    return inspect.isroutine(model) or isinstance(model, functools.partial)


def _refuse_misplaced(model: Any, checkpoint: Any, states: Mapping[str, str] | None) -> None:
    """Refuse keywords that say nothing about this kind of model."""
    reasons = []
    if checkpoint is not None and not _is_code(model):
        wanted = "a Python function of placeholders as the model"
        reasons.append(Reason("checkpoint", type(model).__name__, wanted, "leave checkpoint out"))
    graph = isinstance(model, (str, os.PathLike)) and is_graph(Path(model))
    if states and not graph:
        wanted = "the path of a frozen graph or SavedModel"
        reasons.append(
            Reason("states", type(model).__name__, wanted, "leave states out: they are found")
        )
    if reasons:
        raise UsageError(*reasons)
