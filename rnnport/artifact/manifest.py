"""rnnport.json: the manifest's bytes, sealed by a digest of themselves, and file records."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from rnnport.artifact.consistency import contradictions
from rnnport.errors import ArtifactDamaged
from rnnport.spec import SCHEMA_VERSION, FileRecord, Manifest

__all__ = ["MANIFEST_FILE", "decode", "encode", "record"]

MANIFEST_FILE = "rnnport.json"
_UNSEALED = "0" * 64
_REMEDY = "copy the artifact again, or export the model again"


class _Sealed(Manifest, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The manifest as it stands on disk.

    Attributes:
        digest: sha256 of the file's own bytes with zeros in this place, so that a changed byte is
            seen in the manifest as it is in the files the manifest lists.
    """

    digest: str


class _Version(msgspec.Struct, frozen=True):
    """The one field every schema version has."""

    schema: int


def encode(manifest: Manifest) -> bytes:
    """Write a manifest as sealed, indented JSON in a stable order."""
    fields = {name: getattr(manifest, name) for name in Manifest.__struct_fields__}
    compact = msgspec.json.encode(_Sealed(**fields, digest=_UNSEALED), order="deterministic")
    text = msgspec.json.format(compact, indent=2) + b"\n"
    seal = hashlib.sha256(text).hexdigest()
    # The digest is the last field, so its place is the last run of zeros.
    head, tail = text.rsplit(_UNSEALED.encode(), 1)
    return head + seal.encode() + tail


def decode(data: bytes) -> Manifest:
    """Read a manifest, strictly.

    Args:
        data: the bytes of rnnport.json.

    Raises:
        ArtifactDamaged: not JSON, another schema version, unknown or missing or ill-typed fields,
            a path that is no plain file name, names that contradict one another, or a byte that
            differs from what was written.
    """
    _check_version(data)
    try:
        sealed = msgspec.json.decode(data, type=_Sealed)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _damaged(str(error), "the fields of the manifest schema") from error
    manifest = Manifest(**{name: getattr(sealed, name) for name in Manifest.__struct_fields__})
    # Before the seal, since a wrong path or name says more than a wrong digest.
    if reasons := contradictions(manifest):
        raise ArtifactDamaged(*reasons)
    if not _fits_seal(data, sealed.digest):
        raise _damaged("bytes that do not fit the digest", "the manifest as it was written")
    return manifest


def record(path: Path) -> FileRecord:
    """Describe a file: plain name, size in bytes, sha256; read in pieces.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return FileRecord(file=path.name, size=stream.tell(), sha256=digest)


def _check_version(data: bytes) -> None:
    try:
        version = msgspec.json.decode(data, type=_Version).schema
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _damaged(str(error), "JSON with a schema version") from error
    if version != SCHEMA_VERSION:
        newer = version > SCHEMA_VERSION
        raise ArtifactDamaged.of(
            MANIFEST_FILE,
            f"schema version {version}",
            f"schema version {SCHEMA_VERSION}, the one this rnnport reads",
            "pip install -U rnnport" if newer else "export the model again with this rnnport",
        )


def _fits_seal(data: bytes, digest: str) -> bool:
    """Whether digest is that of data with zeros where digest stands last."""
    if len(digest) != len(_UNSEALED):
        return False
    head, _, tail = data.rpartition(digest.encode())
    return hashlib.sha256(head + _UNSEALED.encode() + tail).hexdigest() == digest


def _damaged(received: str, expected: str) -> ArtifactDamaged:
    return ArtifactDamaged.of(MANIFEST_FILE, received, expected, _REMEDY)
