"""What a model file looks like from outside; needs no TensorFlow."""

from __future__ import annotations

import zipfile
from pathlib import Path

from rnnport.errors import ModelFileError

__all__ = ["check_model_file", "is_graph"]

# What stands in the graph's own file where TensorFlow before 2.5 kept Keras's metadata.
_KERAS_NODE = b"_tf_keras_"
_HDF5 = b"\x89HDF\r\n\x1a\n"


def is_graph(path: Path, source_format: str | None = None) -> bool:
    """Whether this is a frozen graph, or a SavedModel to be taken as a graph.

    Args:
        path: a file or folder.
        source_format: "saved_model" takes one of Keras's as a graph too, "tf_keras" none.
    """
    if not path.is_dir():
        return path.suffix == ".pb"
    names = ("saved_model.pb", "saved_model.pbtxt")
    if source_format == "tf_keras" or not any((path / n).is_file() for n in names):
        return False
    return source_format == "saved_model" or not _of_keras(path)


def check_model_file(path: Path) -> None:
    """Refuse what can be seen not to be a model file before TensorFlow is imported.

    Raises:
        ModelFileError: missing, of another kind, truncated.
    """
    if not path.exists():
        raise ModelFileError.of(
            str(path), "no such file", "a .keras or .h5 model file", "check the path"
        )
    if is_graph(path, "saved_model"):
        return
    if path.is_dir():
        raise ModelFileError.of(
            str(path),
            "a folder",
            "a .keras or .h5 model file",
            "save the model with model.save('x.keras'); a SavedModel folder holds saved_model.pb",
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
            "a name ending in .keras, .h5, .hdf5 or .pb",
            "rename the file to what it is",
        )


def _of_keras(folder: Path) -> bool:
    """Whether a SavedModel holds Keras's own description of its layers."""
    metadata, graph = folder / "keras_metadata.pb", folder / "saved_model.pb"
    if metadata.is_file():
        return metadata.stat().st_size > 0
    content = graph.read_bytes() if graph.is_file() else b""
    return _KERAS_NODE in content and b'"class_name"' in content
