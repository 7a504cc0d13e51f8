"""Opens a model file: Keras 3 `.keras` and `.h5`, in safe mode."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from rnnport.errors import ModelFileError, UnsupportedModel

__all__ = ["open_file"]

_HDF5 = b"\x89HDF\r\n\x1a\n"


def open_file(path: Path, custom_objects: Mapping[str, Any] | None) -> Any:
    """Load a whole model from disk without running code the file brings along.

    Args:
        path: a `.keras`, `.h5` or `.hdf5` file.
        custom_objects: classes and functions the model names.

    Raises:
        ModelFileError: missing, not a model file, truncated or damaged.
        UnsupportedModel: the file needs something that is not at hand.
    """
    _check(path)
    try:
        return keras.models.load_model(
            path, custom_objects=dict(custom_objects or {}), compile=False, safe_mode=True
        )
    except Exception as error:
        raise _explain(path, error) from error


def _check(path: Path) -> None:
    if not path.exists():
        raise ModelFileError.of(
            str(path), "no such file", "a .keras or .h5 model file", "check the path"
        )
    if path.is_dir():
        raise ModelFileError.of(
            str(path),
            "a folder",
            "a .keras or .h5 model file",
            "SavedModel folders are not supported yet: save the model with model.save('x.keras')",
        )
    with path.open("rb") as file:
        head = file.read(8)
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        whole = "its beginning is a zip archive's, its end is missing: truncated"
        received = whole if head[:2] == b"PK" else "not a zip archive"
        raise ModelFileError.of(
            str(path),
            received,
            "a .keras archive written by model.save",
            "save the model again, or copy the whole file",
        )
    if path.suffix in (".h5", ".hdf5") and head != _HDF5:
        raise ModelFileError.of(
            str(path), "not an HDF5 file", "a model written by model.save('x.h5')", "save it again"
        )
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise ModelFileError.of(
            str(path),
            f"a file ending in {path.suffix or 'nothing'!r}",
            "a name ending in .keras, .h5 or .hdf5",
            "rename the file to what it is",
        )


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
