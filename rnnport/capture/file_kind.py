"""Which Keras wrote a file."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py

from rnnport.errors import ModelFileError, UsageError

__all__ = ["framework_of_file", "hdf5_config"]

_FORMATS = ("keras", "tf_keras")
_FOLDER_FORMATS = ("tf_keras", "saved_model")


def framework_of_file(path: Path, source_format: str | None) -> str:
    """As told, else by the version and the look of what stands in the file.

    Args:
        path: a file or folder that `check_model_file` let through.
        source_format: what the user says it is, or None.

    Returns:
        "keras" or "tf_keras".

    Raises:
        UsageError: the format told cannot be that of such a file.
        ModelFileError: an HDF5 file that holds no model.
    """
    if path.is_dir():
        if source_format not in (None, *_FOLDER_FORMATS):
            raise _not_that(path, source_format, "a SavedModel folder", _FOLDER_FORMATS)
        return "tf_keras"
    if source_format not in (None, *_FORMATS):
        raise _not_that(path, source_format, f"a {path.suffix} file", _FORMATS)
    told = hdf5_config(path) if path.suffix != ".keras" else _archived(path)
    return source_format or _by_look(*told)


def _not_that(path: Path, given: str | None, is_a: str, fitting: tuple[str, ...]) -> UsageError:
    return UsageError.of(
        str(path),
        f"{is_a} called {given!r}",
        f"source_format (--from) {' or '.join(fitting)}",
        "leave it out: the kind of file is found out",
    )


def _by_look(config: Any, version: str) -> str:
    major = version.split(".")[0]
    if major.isdigit():
        return "keras" if int(major) >= 3 else "tf_keras"
    return "keras" if '"DTypePolicy"' in json.dumps(config) else "tf_keras"


def hdf5_config(path: Path) -> tuple[Any, str]:
    """The model's description in an HDF5 file, and the Keras version that wrote it ("" unknown).

    Raises:
        ModelFileError: the file holds weights alone, or nothing of Keras's, or is damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            attributes = {name: file.attrs[name] for name in file.attrs}
            names = set(attributes) | set(file)
    except OSError as error:
        raise ModelFileError.of(
            str(path), f"OSError: {error}", "a whole HDF5 file", "copy the whole file again"
        ) from error
    if "model_config" not in names:
        raise _no_config(path, names)
    try:
        config = json.loads(_text(attributes["model_config"]))
    except (KeyError, ValueError) as error:
        raise ModelFileError.of(
            str(path),
            f"a model_config that is no JSON: {error}",
            "the description that model.save writes",
            "save the model again",
        ) from error
    return config, _text(attributes.get("keras_version", ""))


def _no_config(path: Path, names: set[str]) -> ModelFileError:
    weights = names & {"layer_names", "layers", "vars", "_layer_checkpoint_dependencies"}
    received = "weights alone, without model_config" if weights else "no model_config"
    return ModelFileError.of(
        str(path),
        f"an HDF5 file with {received}",
        "a whole model written by model.save('x.h5')",
        "build the model in Python, call load_weights and export the live object",
    )


def _archived(path: Path) -> tuple[Any, str]:
    """The same for a `.keras` archive; damage is left for Keras to report."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            version = json.loads(archive.read("metadata.json")).get("keras_version", "")
    except (KeyError, ValueError, OSError, zipfile.BadZipFile):
        return {}, "3"
    return config, str(version)


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
