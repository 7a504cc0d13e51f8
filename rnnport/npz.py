"""Strict npz files: no pickle, bounded size, any array name, written atomically. NumPy only."""

from __future__ import annotations

import io
import os
import secrets
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_BYTES", "decode_npz", "encode_npz", "replace_file"]

MAX_BYTES = 8 << 30
"""Largest unpacked size decode_npz accepts: a small file may unpack to terabytes."""

_SUFFIX = ".npy"


def encode_npz(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Pack arrays as a compressed npz; the same arrays always give the same bytes.

    numpy.savez takes names as keywords and so cannot store an array called "file".

    Args:
        arrays: name to array of any shape; dtypes without Python objects.

    Raises:
        ValueError: an array holds Python objects.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(name + _SUFFIX)
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)
    return buffer.getvalue()


def decode_npz(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, NDArray[np.generic]]:
    """Read every array of an npz file.

    Args:
        path: the file.
        max_bytes: refuse files that unpack to more.

    Returns:
        Name to array.

    Raises:
        ValueError: not an npz file, damaged, too large, or holding pickled objects.
        OSError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, max_bytes)
            return {
                info.filename.removesuffix(_SUFFIX): _read_member(archive, info)
                for info in archive.infolist()
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that a kill leaves either the old content or the new.

    Raises:
        OSError: the file system refused; the old file is as it was.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with draft.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _check_members(archive: zipfile.ZipFile, max_bytes: int) -> None:
    members = archive.infolist()
    names = [info.filename for info in members]
    if len(set(names)) != len(names):
        raise ValueError("an array name occurs twice")
    if any(not name.endswith(_SUFFIX) for name in names):
        raise ValueError("it holds something that is not an array")
    total = sum(info.file_size for info in members)
    if total > max_bytes:
        raise ValueError(f"it unpacks to {total} bytes, more than {max_bytes}")


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[np.generic]:
    """Read one array; the header may not promise more than the archive holds."""
    with archive.open(info) as stream:
        data = stream.read(info.file_size + 1)
    if len(data) != info.file_size:
        raise ValueError(f"{info.filename} is longer or shorter than stated")
    buffer = io.BytesIO(data)
    array: NDArray[np.generic] = np.lib.format.read_array(buffer, allow_pickle=False)
    if buffer.read(1):
        raise ValueError(f"{info.filename} has bytes left over")
    return array
