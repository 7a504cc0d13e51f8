"""Turns whatever export is given into a Source."""

from __future__ import annotations

import functools
import inspect
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
from rnnport.capture.policy import in_float32, other_policies, rebuilt
from rnnport.capture.refuse import refuse_ragged
from rnnport.capture.source import Source
from rnnport.errors import Reason, UnsupportedModel, UsageError
from rnnport.model_file import check_model_file, is_graph

__all__ = ["open_as_is", "open_source"]


def open_source(
    model: Any,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    input_signature: Any = None,
    checkpoint: Any = None,
    states: Mapping[str, str] | None = None,
    source_format: str | None = None,
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
        source_format: for files: "keras", "tf_keras" or "saved_model"; found out where None.

    Raises:
        ModelFileError: the file cannot be read.
        MissingSignature: the inputs' shapes cannot be known.
        UsageError: checkpoint or states for a model that has none to be told.
        UnsupportedModel: not something rnnport exports.
    """
    kind = "live object"
    notes: tuple[str, ...] = ()
    _refuse_misplaced(model, checkpoint, states, source_format)
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        if is_graph(path, source_format):
            from rnnport.capture.open_graph import from_frozen, from_saved_model

            check_model_file(path)
            return (from_saved_model if path.is_dir() else from_frozen)(path, states)
        opened = open_file(path, custom_objects, source_format)
        model, kind, notes = opened.model, opened.kind, opened.notes
    if isinstance(model, TensorFlowFunction):
        return from_function(model, input_signature)
    if _is_code(model):
        from rnnport.capture.open_builder import (
            from_builder,
        )  # imports tf_keras, a second each time

        return from_builder(model, input_signature, checkpoint)
    framework = framework_of(model)
    if framework is None:
        raise UnsupportedModel.of(
            "model",
            f"{type(model).__module__}.{type(model).__qualname__}",
            "a model, layer or cell of Keras 3 or tf_keras, a tf.function, or the path of a model "
            "file",
            "rebuild it with Keras, or pass TensorFlow 1 code as a function of placeholders",
        )
    policies = other_policies(model)
    twin = _float32_twin(framework, model, policies)
    source = open_as_is(framework, twin, kind, input_signature)
    source = replace(source, framework=framework.label, notes=notes, policies=policies)
    if not policies:
        return source
    if twin is not model:
        own = open_as_is(framework, model, kind, input_signature)
        return replace(source, inputs=own.inputs, original=own.call)
    return in_float32(source, model)


def _float32_twin(framework: Framework, model: Any, policies: Mapping[str, Any]) -> Any:
    """The model itself, or another one of its weights where float64 must be rebuilt.

    Raises:
        UnsupportedModel: it cannot be rebuilt.
    """
    if framework is KERAS or not {"float64", "float16"} & set(policies):
        return model
    try:
        return rebuilt(model)
    except Exception as error:
        raise UnsupportedModel.of(
            f"dtype policy of {model.name!r}",
            ", ".join(policies),
            "float32, or a functional model that can be rebuilt in it",
            "rebuild the model under tf_keras.mixed_precision.set_global_policy('float32') and "
            "copy the weights with set_weights",
        ) from error


def open_as_is(framework: Framework, model: Any, kind: str, signature: Any) -> Source:
    """A layer, cell or model under the dtype policies it has."""
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


def _is_code(model: Any) -> bool:
    """A plain Python function: TensorFlow 1 code."""
    return inspect.isroutine(model) or isinstance(model, functools.partial)


def _refuse_misplaced(
    model: Any, checkpoint: Any, states: Mapping[str, str] | None, source_format: str | None
) -> None:
    """Refuse keywords that say nothing about this kind of model."""
    reasons = []
    if checkpoint is not None and not _is_code(model):
        wanted = "a Python function of placeholders as the model"
        reasons.append(Reason("checkpoint", type(model).__name__, wanted, "leave checkpoint out"))
    graph = isinstance(model, (str, os.PathLike)) and is_graph(Path(model), source_format)
    if states and not graph:
        wanted = "the path of a frozen graph or SavedModel"
        reasons.append(
            Reason("states", type(model).__name__, wanted, "leave states out: they are found")
        )
    if reasons:
        raise UsageError(*reasons)
