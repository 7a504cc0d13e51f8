"""Opens a model file: Keras 3 `.keras` and `.h5`, in safe mode."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from rnnport.capture.wording import gist
from rnnport.errors import ModelFileError, UnsupportedModel
from rnnport.model_file import check_model_file

__all__ = ["open_file"]

# Keras's own words, which stand somewhere in a long message.
_CODE = "Requested the deserialization of a"
_UNKNOWN = re.compile(r"(?:Could not locate|Unknown) (class|function|layer):? '([^']+)'")


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
    text = str(error)
    subject = f"model in {path}"
    if _CODE in text:
        return UnsupportedModel.of(
            subject,
            "Python code of a lambda, which loading would run",
            "a file that brings no code along",
            "replace the lambda by a layer class or a named function, or build the model in "
            "Python, load its weights and export the live object",
        )
    if unknown := _UNKNOWN.search(text):
        what, name = unknown.groups()
        return UnsupportedModel.of(
            subject,
            f"a {what} that Keras does not know: {name!r}",
            "only what Keras knows, or what is given",
            f"pass custom_objects={{{name!r}: {name.split('>')[-1]}}}, or register it with "
            "@keras.saving.register_keras_serializable() before",
        )
    return ModelFileError.of(
        str(path),
        f"{type(error).__name__}: {gist(error)}",
        "a model this Keras can load",
        "open it with the Keras that wrote it and save it again as .keras",
    )
