"""What a model file looks like from outside; needs no TensorFlow."""

from __future__ import annotations

import zipfile
from pathlib import Path

from rnnport.errors import ModelFileError

__all__ = ["check_model_file", "is_graph"]

_HDF5 = b"\x89HDF\r\n\x1a\n"


def is_graph(path: Path) -> bool:
    """Whether this is a frozen graph, or a SavedModel of which Keras knows nothing."""
    if path.is_dir():
        names = ("saved_model.pb", "saved_model.pbtxt")
        return (
            any((path / n).is_file() for n in names) and not (path / "keras_metadata.pb").exists()
        )
    return path.suffix == ".pb"


def check_model_file(path: Path) -> None:
    """Refuse what can be seen not to be a model file before TensorFlow is imported.

    Raises:
        ModelFileError: missing, of another kind, truncated.
    """
    if not path.exists():
        raise ModelFileError.of(
            str(path), "no such file", "a .keras or .h5 model file", "check the path"
        )
    if is_graph(path):
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
