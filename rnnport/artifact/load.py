"""Open an artifact folder; every file is checked before anything uses it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rnnport.artifact.consistency import file_records
from rnnport.artifact.leftovers import recover
from rnnport.artifact.manifest import MANIFEST_FILE, decode, record
from rnnport.errors import ArtifactDamaged, Reason, UsageError
from rnnport.spec import FileRecord, Manifest

__all__ = ["Artifact", "open_artifact"]

_MAX_MANIFEST = 64 << 20
_REMEDY = "copy the artifact again, or export the model again"


@dataclass(frozen=True)
class Artifact:
    """An artifact folder.

    Attributes:
        path: the folder.
        manifest: what rnnport.json says.
        forms: form name, "model" say, to the path of its .onnx file.
    """

    path: Path
    manifest: Manifest
    forms: Mapping[str, Path]

    @classmethod
    def of(cls, path: Path, manifest: Manifest) -> Artifact:
        """Pair a folder with its manifest; nothing is read or checked."""
        forms = {name: path / form.record.file for name, form in manifest.forms.items()}
        return cls(path, manifest, forms)


def open_artifact(path: str | os.PathLike[str]) -> Artifact:
    """Open an artifact and check it: presence, size and sha256 of every file it lists.

    Files the manifest does not list are ignored. A save that was killed halfway on a system
    without atomic exchange is put right first.

    Args:
        path: the folder.

    Raises:
        UsageError: there is no such folder.
        ArtifactDamaged: it is no artifact, or not as it was written; lists every reason.
    """
    folder = _folder(path)
    manifest = decode(_manifest_bytes(folder))
    reasons = [reason for entry in file_records(manifest) for reason in _check(folder, entry)]
    if reasons:
        raise ArtifactDamaged(*reasons)
    return Artifact.of(folder, manifest)


def _folder(path: str | os.PathLike[str]) -> Path:
    """The folder at path, or a refusal that says what is there instead."""
    expected = "a folder written by rnnport.export"
    if not isinstance(path, (str, os.PathLike)):
        raise UsageError.of("artifact", type(path).__name__, "a path", "pass the folder's path")
    folder = Path(path)
    recover(folder)
    if folder.is_dir():
        return folder
    if not os.path.lexists(folder):
        remedy = "check the path, or make the artifact with rnnport.export"
        raise UsageError.of(f"artifact {folder}", "no such folder", expected, remedy)
    inside = (folder.parent / MANIFEST_FILE).is_file()
    remedy = f"pass {folder.parent}" if inside else "pass the artifact's folder"
    raise UsageError.of(f"artifact {folder}", "a file", expected, remedy)


def _manifest_bytes(folder: Path) -> bytes:
    path = folder / MANIFEST_FILE
    if trouble := _trouble(folder, path):
        raise ArtifactDamaged.of(
            f"artifact {folder}",
            f"{MANIFEST_FILE}: {trouble}",
            f"a folder written by rnnport.export, with {MANIFEST_FILE} in it",
            "check the path, or export the model again",
        )
    if path.stat().st_size > _MAX_MANIFEST:
        expected = f"at most {_MAX_MANIFEST} bytes"
        raise ArtifactDamaged.of(str(path), f"{path.stat().st_size} bytes", expected, _REMEDY)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactDamaged.of(
            str(path), error.strerror, "a readable file", "check its permissions"
        ) from error


def _check(folder: Path, entry: FileRecord) -> Iterator[Reason]:
    """Compare one file with its record, cheapest question first."""
    path = folder / entry.file
    subject = f"{entry.file} in {folder}"
    if trouble := _trouble(folder, path):
        yield Reason(subject, trouble, "a regular file inside the folder", _REMEDY)
        return
    try:
        size = path.stat().st_size
        found = record(path) if size == entry.size else None
    except OSError as error:
        yield Reason(subject, str(error.strerror), "a readable file", "check its permissions")
        return
    if found is None:
        yield Reason(subject, f"{size} bytes", f"{entry.size} bytes", _REMEDY)
    elif found.sha256 != entry.sha256:
        yield Reason(
            subject, f"sha256 {found.sha256[:12]}…", f"sha256 {entry.sha256[:12]}…", _REMEDY
        )


def _trouble(folder: Path, path: Path) -> str:
    """Why path cannot be read as a file of the folder; empty where it can."""
    if not os.path.lexists(path):
        return "missing"
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(os.path.realpath(folder)):
        return f"a link that leaves the folder, to {real}"
    try:
        mode = real.stat().st_mode
    except OSError as error:
        return str(error.strerror)
    return "" if stat.S_ISREG(mode) else "not a regular file"
