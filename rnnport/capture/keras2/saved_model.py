"""SavedModel folders that Keras 2 wrote: the layers come back as layers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras
from tf_keras.src.saving.serialization_lib import SafeModeScope

from rnnport.capture.keras2.safety import refuse_code
from rnnport.capture.opened import Opened
from rnnport.errors import ModelFileError

__all__ = ["load"]


def load(path: Path, custom_objects: dict[str, Any]) -> Opened:
    """Load with tf_keras from the metadata beside the graph.

    Args:
        path: the folder.
        custom_objects: classes and functions it names.
    """
    for config in _configs(path):
        refuse_code(config, custom_objects, path)
    with SafeModeScope(safe_mode=True):
        model = tf_keras.models.load_model(str(path), custom_objects=custom_objects, compile=False)
    if not isinstance(model, tf_keras.layers.Layer):
        raise ModelFileError.of(
            str(path),
            "a SavedModel whose root is no Keras model",
            "a folder written by model.save",
            "save the model itself with model.save",
        )
    return Opened(model, "SavedModel of Keras")


def _configs(path: Path) -> Iterator[Any]:
    """The description of every layer."""
    from tf_keras.protobuf import saved_metadata_pb2

    file = path / "keras_metadata.pb"
    if file.exists():
        metadata = saved_metadata_pb2.SavedMetadata()
        metadata.ParseFromString(file.read_bytes())
        texts = [node.metadata for node in metadata.nodes]
    else:  # TensorFlow before 2.5 kept them in the graph's own file
        graph = tf.__internal__.saved_model.parse_saved_model(str(path)).meta_graphs[0]
        texts = [node.user_object.metadata for node in graph.object_graph_def.nodes]
    yield from (json.loads(text) for text in texts if text)
