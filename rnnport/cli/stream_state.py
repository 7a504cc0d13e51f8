"""The file in which `rnnport stream` keeps its open streams from one process to the next.

15 bytes  "rnnport streams"
1 byte    the version
body      msgpack: every stream's id and snapshot
16 bytes  blake2b of everything before
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from rnnport.cli.stream_desk import Desk
from rnnport.cli.stream_lines import Name
from rnnport.errors import Reason, SaveFailed, SnapshotRefused, UsageError
from rnnport.npz import replace_file

__all__ = ["check_place", "load_state", "save_state"]

_MAGIC = b"rnnport streams"
_VERSION = 1
_SEAL = 16
_HEAD = len(_MAGIC) + 1
_REMEDY = "give the file that --save-state wrote, or leave out --load-state and start anew"


class _Stream(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    id: Name
    snapshot: bytes


class _Body(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    streams: list[_Stream]


def check_place(path: Path) -> None:
    """Refuse a place where no file can be written, before the streams run and not after.

    Raises:
        UsageError: no such folder, or no permission, or a folder itself.
    """
    folder = path.absolute().parent
    received = ""
    if path.is_dir():
        received = "a folder"
    elif not folder.is_dir():
        received = f"no folder {folder}"
    elif not os.access(folder, os.W_OK):
        received = f"no permission to write in {folder}"
    if received:
        subject, expected = f"--save-state {path}", "a place where the file can be written"
        raise UsageError.of(subject, received, expected, "choose another path")


def save_state(path: Path, desk: Desk) -> int:
    """Write every open stream; a kill leaves either the old file or the new.

    Returns:
        The file's size in bytes.

    Raises:
        SaveFailed: the file system refused; the old file is as it was.
    """
    data = _encode(desk.snapshots())
    try:
        replace_file(path, data)
    except OSError as error:
        expected = "a place where the file can be written"
        remedy = "choose another path, or free some space"
        raise SaveFailed.of(f"--save-state {path}", error.strerror, expected, remedy) from error
    return len(data)


def load_state(path: Path, desk: Desk) -> None:
    """Open every stream of a file, to go on from where it was.

    Raises:
        UsageError: the file cannot be read.
        SnapshotRefused: no such file's content, damaged, or of another model or version.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        subject, remedy = f"--load-state {path}", "check the path and its permissions"
        expected = "a file that --save-state wrote"
        raise UsageError.of(subject, error.strerror, expected, remedy) from error
    for stream in _decode(data, path):
        try:
            desk.restore(stream.id, stream.snapshot)
        except SnapshotRefused as error:
            where = f"--load-state {path}, stream {stream.id!r}"
            reasons = (Reason(where, r.received, r.expected, _REMEDY) for r in error.reasons)
            raise SnapshotRefused(*reasons) from error


def _encode(streams: Iterable[tuple[Name, bytes]]) -> bytes:
    body = msgspec.msgpack.encode(_Body([_Stream(*stream) for stream in streams]))
    data = _MAGIC + bytes([_VERSION]) + body
    return data + _seal(data)


def _decode(data: bytes, path: Path) -> list[_Stream]:
    if data[: len(_MAGIC)] != _MAGIC or len(data) < _HEAD + _SEAL:
        raise _refused(path, f"{len(data)} bytes of something else", "streams")
    if data[_HEAD - 1] != _VERSION:
        raise _refused(path, f"version {data[_HEAD - 1]}", f"version {_VERSION}")
    if data[-_SEAL:] != _seal(data[:-_SEAL]):
        raise _refused(path, "bytes that do not fit their checksum", "every byte as it was")
    try:
        streams = msgspec.msgpack.decode(data[_HEAD:-_SEAL], type=_Body).streams
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _refused(path, str(error), "ids and snapshots") from error
    if len({stream.id for stream in streams}) < len(streams):
        raise _refused(path, "an id that occurs twice", "ids that occur once")
    return streams


def _seal(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_SEAL).digest()


def _refused(path: Path, received: str, expected: str) -> SnapshotRefused:
    return SnapshotRefused.of(f"--load-state {path}", received, expected, _REMEDY)
