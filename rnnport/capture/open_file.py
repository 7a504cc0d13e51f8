"""Opens a model file: Keras 3 `.keras` and `.h5`, in safe mode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from rnnport.errors import ModelFileError, UnsupportedModel
from rnnport.model_file import check_model_file

__all__ = ["open_file"]


def open_file(path: Path, custom_objects: Mapping[str, Any] | None) -> Any:
    """Load a whole model from disk without running code the file brings along.

    Args:
        path: a `.keras`, `.h5` or `.hdf5` file.
        custom_objects: classes and functions the model names.

    Raises:
        ModelFileError: missing, not a model file, truncated or damaged.
        UnsupportedModel: the file needs something that is not at hand.
    """
    check_model_file(path)
    try:
        return keras.models.load_model(
            path, custom_objects=dict(custom_objects or {}), compile=False, safe_mode=True
        )
    except Exception as error:
        raise _explain(path, error) from error


def _explain(path: Path, error: Exception) -> Exception:
    text = str(error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    if "Could not locate class" in first or "Unknown layer" in first or "custom" in first.lower():
        return UnsupportedModel.of(
            f"model in {path}",
            first,
            "only layers Keras knows, or custom ones that are given",
            "pass custom_objects={'Name': Class}, or register the class with "
            "@keras.saving.register_keras_serializable()",
        )
    return ModelFileError.of(
        str(path),
        f"{type(error).__name__}: {first}",
        "a model this Keras can load",
        "open it with the Keras that wrote it and save it again as .keras",
    )
