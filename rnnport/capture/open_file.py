"""Opens a model from disk with the Keras it was written by, running no code it brings along."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from rnnport.capture.file_kind import framework_of_file
from rnnport.capture.opened import Opened, explain
from rnnport.errors import UsageError
from rnnport.model_file import check_model_file

__all__ = ["open_file"]


def open_file(
    path: Path, custom_objects: Mapping[str, Any] | None, source_format: str | None = None
) -> Opened:
    """Load a whole model from disk.

    Args:
        path: a `.keras`, `.h5` or `.hdf5` file, or a SavedModel folder that Keras wrote.
        custom_objects: classes and functions the model names.
        source_format: "keras", "tf_keras" or "saved_model"; found out where None.

    Raises:
        ModelFileError: missing, not a model file, truncated or damaged.
        UnsupportedModel: the file needs something that is not at hand.
    """
    check_model_file(path)
    framework = framework_of_file(path, source_format)
    objects = dict(custom_objects or {})
    try:
        if framework == "keras":
            return _keras3(path, objects)
        return _keras2(path, objects)
    except Exception as error:
        raise explain(path, error, framework) from error


def _keras3(path: Path, custom_objects: dict[str, Any]) -> Opened:
    model = keras.models.load_model(
        path, custom_objects=custom_objects, compile=False, safe_mode=True
    )
    return Opened(model, f"{path.suffix} file")


def _keras2(path: Path, custom_objects: dict[str, Any]) -> Opened:
    try:
        from rnnport.capture.keras2 import archive, hdf5, saved_model
    except ModuleNotFoundError as error:
        raise UsageError.of(
            str(path), f"no module named {error.name!r}", "tf_keras", "pip install tf-keras"
        ) from error
    if path.is_dir():
        return saved_model.load(path, custom_objects)
    if path.suffix == ".keras":
        return archive.load(path, custom_objects)
    return hdf5.load(path, custom_objects)
