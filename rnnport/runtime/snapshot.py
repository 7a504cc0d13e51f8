"""Snapshots: the states of a stream as bytes, sealed, and tied to the model they belong to.

8 bytes   "rnnport" and the version
body      msgpack: the model's digest, the number of rows, the tensors
16 bytes  blake2b of everything before
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rnnport.errors import Reason, SnapshotRefused
from rnnport.runtime.stream_plan import StreamPlan, resolve
from rnnport.spec import Port, State

__all__ = ["Snapshot", "decode", "encode"]

_MAGIC = b"rnnport"
_VERSION = 1
_SEAL = 16
_REMEDY = "take the snapshot again, from a stream of this model"

Arrays = dict[str, NDArray[Any]]


class _Tensor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One array; data in C order, little-endian."""

    name: str
    dtype: str
    shape: list[int]
    data: bytes


class _Body(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    digest: bytes
    rows: int
    states: list[_Tensor]
    fixed: list[_Tensor]


class Snapshot(msgspec.Struct, frozen=True):
    """What a snapshot holds: state name to (B, …), fixed input to (B, …)."""

    states: Arrays
    fixed: Arrays


def encode(plan: StreamPlan, rows: int, snapshot: Snapshot) -> bytes:
    """Write a snapshot; the plan says which model it belongs to."""
    body = _Body(plan.digest, rows, _tensors(snapshot.states), _tensors(snapshot.fixed))
    sealed = _MAGIC + bytes([_VERSION]) + msgspec.msgpack.encode(body)
    return sealed + _seal(sealed)


def decode(blob: bytes, plan: StreamPlan, rows: int) -> Snapshot:
    """Read a snapshot, strictly.

    Args:
        blob: what encode gave.
        plan: of the model that shall go on with it.
        rows: how many rows are wanted.

    Raises:
        SnapshotRefused: no snapshot, damaged, of another version or model, or of other rows.
    """
    body = _read(_open(blob))
    if body.digest != plan.digest:
        received = f"a snapshot of another model ({body.digest.hex()[:12]}…)"
        raise _refused(received, f"one of this model ({plan.digest.hex()[:12]}…)", _REMEDY)
    if body.rows != rows:
        remedy = f"restore it into a stepper of batch size {body.rows}"
        if body.rows == 1:
            remedy += ", or into a pool"
        raise _refused(f"{_count(body.rows)}", f"{_count(rows)}", remedy)
    reasons: list[Reason] = []
    snapshot = Snapshot(
        _arrays(body.states, {state.name: state for state in plan.states}, rows, reasons),
        _arrays(body.fixed, {port.name: port for port in plan.fixed}, rows, reasons),
    )
    if reasons:
        raise SnapshotRefused(*reasons)
    return snapshot


def _open(blob: bytes) -> bytes:
    """The body of a sealed blob."""
    expected = "what snapshot() gave"
    if not isinstance(blob, (bytes, bytearray, memoryview)):
        raise _refused(type(blob).__name__, f"bytes, {expected}", _REMEDY)
    blob = bytes(blob)
    start = len(_MAGIC) + 1
    if blob[: len(_MAGIC)] != _MAGIC or len(blob) < start + _SEAL:
        raise _refused(f"{len(blob)} bytes that are no whole snapshot", expected, _REMEDY)
    if blob[start - 1] != _VERSION:
        remedy = "use the version of rnnport that wrote it"
        raise _refused(f"version {blob[start - 1]}", f"version {_VERSION}", remedy)
    if blob[-_SEAL:] != _seal(blob[:-_SEAL]):
        received = f"{len(blob)} bytes that do not fit their checksum"
        raise _refused(received, f"{expected}, every byte of it", _REMEDY)
    return blob[start:-_SEAL]


def _read(body: bytes) -> _Body:
    try:
        return msgspec.msgpack.decode(body, type=_Body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _refused(str(error), "the fields of a snapshot", _REMEDY) from error


def _tensors(arrays: Arrays) -> list[_Tensor]:
    return [
        _Tensor(name, array.dtype.name, list(array.shape), _little(array).tobytes())
        for name, array in arrays.items()
    ]


def _little(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _arrays(
    tensors: list[_Tensor], wanted: Mapping[str, State | Port], rows: int, reasons: list[Reason]
) -> Arrays:
    """Turn tensors into arrays; all that does not fit goes to reasons."""
    names = [tensor.name for tensor in tensors]
    if sorted(names) != sorted(wanted):
        reasons.append(Reason("snapshot", f"arrays {names}", f"arrays {list(wanted)}", _REMEDY))
        return {}
    arrays = {}
    for tensor in tensors:
        port = wanted[tensor.name]
        dtype = np.dtype(port.dtype)
        shape = resolve(port.shape, {"B": rows}) or ()
        fits = (tensor.dtype, tuple(tensor.shape)) == (dtype.name, shape)
        if not fits or len(tensor.data) != math.prod(shape) * dtype.itemsize:
            received = f"{tensor.dtype} {tuple(tensor.shape)}, {len(tensor.data)} bytes"
            expected = f"{dtype.name} {shape}"
            reasons.append(Reason(f"snapshot, {tensor.name!r}", received, expected, _REMEDY))
            continue
        little = np.frombuffer(tensor.data, dtype.newbyteorder("<")).reshape(shape)
        arrays[tensor.name] = little.astype(dtype)
    return arrays


def _seal(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_SEAL).digest()


def _refused(received: str, expected: str, remedy: str) -> SnapshotRefused:
    return SnapshotRefused.of("snapshot", received, expected, remedy)


def _count(rows: int) -> str:
    return f"{rows} row{'' if rows == 1 else 's'}"
