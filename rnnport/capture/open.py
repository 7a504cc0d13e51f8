"""Turns whatever export is given into a Source."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnport.capture.framework import KERAS, Framework, framework_of
from rnnport.capture.open_call import from_call
from rnnport.capture.open_cell import from_cell, is_cell
from rnnport.capture.open_file import open_file
from rnnport.capture.open_function import from_function
from rnnport.capture.open_struct import build_sequential, from_struct
from rnnport.capture.patches import TensorFlowFunction
from rnnport.capture.refuse import refuse_policies, refuse_ragged
from rnnport.capture.source import Source
from rnnport.errors import UnsupportedModel

__all__ = ["open_source"]


def open_source(
    model: Any,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    input_signature: Any = None,
    source_format: str | None = None,
) -> Source:
    """Open a model, layer, cell, tf.function or model file.

    Args:
        model: what `rnnport.export` was given.
        custom_objects: for files.
        input_signature: shapes and dtypes of the inputs, where the model does not know them: one
            spec, or a list with one spec for each input. A spec is anything with `.shape` and
            `.dtype` (tf.TensorSpec, keras.InputSpec, an array).
        source_format: for files: "keras", "tf_keras" or "saved_model"; found out where None.

    Raises:
        ModelFileError: the file cannot be read.
        MissingSignature: the inputs' shapes cannot be known.
        UnsupportedModel: not something rnnport exports.
    """
    kind = "live object"
    notes: tuple[str, ...] = ()
    if isinstance(model, (str, os.PathLike)):
        opened = open_file(Path(model), custom_objects, source_format)
        model, kind, notes = opened.model, opened.kind, opened.notes
    if isinstance(model, TensorFlowFunction):
        return from_function(model, input_signature)
    framework = framework_of(model)
    if framework is None:
        raise UnsupportedModel.of(
            "model",
            f"{type(model).__module__}.{type(model).__qualname__}",
            "a model, layer or cell of Keras 3 or tf_keras, a tf.function, or the path of a model "
            "file",
            "rebuild it with Keras; TensorFlow 1 code is not supported yet",
        )
    refuse_policies(model)
    source = _from_layer(framework, model, kind, input_signature)
    return replace(source, framework=framework.label, notes=notes)


def _from_layer(framework: Framework, model: Any, kind: str, signature: Any) -> Source:
    if is_cell(model):
        return from_cell(model, kind, signature)
    if isinstance(model, framework.module.Sequential) and not model.built:
        build_sequential(model, signature)
    struct = _inputs_struct(framework, model)
    if struct is None:
        return from_call(model, kind, signature)
    refuse_ragged(struct)
    return from_struct(model, struct, kind)


def _inputs_struct(framework: Framework, model: Any) -> Any:
    """The nested input tensors of a functional or Sequential model; None for others."""
    if framework is not KERAS:
        return model._nested_inputs if getattr(model, "_is_graph_network", False) else None
    if isinstance(model, framework.module.Sequential):
        found = getattr(model, "_inputs_struct", None)
        return model._functional._inputs_struct if found is None else found
    return getattr(model, "_inputs_struct", None)
