"""Save an artifact atomically: written in a hidden sibling folder, then put in place at once.

    with staging(out, overwrite=False) as draft:
        (draft.folder / "model.onnx").write_bytes(...)
        artifact = draft.commit(manifest)

A kill at any moment leaves either the old folder or the new one; an exception leaves the old one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rnnport.artifact.consistency import file_records
from rnnport.artifact.leftovers import hidden_sibling, sweep
from rnnport.artifact.load import Artifact, open_artifact
from rnnport.artifact.manifest import MANIFEST_FILE, encode
from rnnport.artifact.swap import replace_folder, sync_folder, sync_tree
from rnnport.errors import ArtifactExists, SaveFailed, UsageError
from rnnport.spec import Manifest

__all__ = ["Draft", "check_target", "file_names", "staging", "strangers"]

_REMEDIES = {
    errno.ENOSPC: "free some space, or choose a folder on another disk",
    errno.EDQUOT: "free some of your quota, or choose a folder on another disk",
    errno.EFBIG: "choose a folder on a file system that takes larger files",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.EROFS: "choose a folder on a disk that can be written",
    errno.EBUSY: "it is a mount point or in use: choose a folder inside it",
    errno.ENOTDIR: "a parent of the folder is a file: choose another path",
    errno.EEXIST: "a parent of the folder is a file: choose another path",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@dataclass(frozen=True)
class Draft:
    """An artifact being written.

    Attributes:
        folder: write the files here; flat, and all of them listed in the manifest.
        target: where they will be after commit.
        overwrite: whether an artifact at target may be replaced.
    """

    folder: Path
    target: Path
    overwrite: bool

    def commit(self, manifest: Manifest) -> Artifact:
        """Check the draft against its manifest and put it in place of the target.

        Args:
            manifest: describes every file in the draft's folder.

        Returns:
            The artifact, at its target.

        Raises:
            ArtifactDamaged: the files are not those of the manifest.
            ArtifactExists: somebody else filled the target in the meantime.
            OSError: the file system refused; staging turns it into SaveFailed.
        """
        (self.folder / MANIFEST_FILE).write_bytes(encode(manifest))
        self._check_files(manifest)
        sync_tree(self.folder)
        _put_in_place(self.folder, self.target, self.overwrite)
        return Artifact.of(self.target, manifest)

    def _check_files(self, manifest: Manifest) -> None:
        """Refuse to commit what could not be opened again, or files nobody would look at."""
        open_artifact(self.folder)
        if found := strangers(self.folder, manifest):
            raise ValueError(f"draft holds files its manifest does not list: {found}")


def file_names(manifest: Manifest) -> set[str]:
    """Names of all files of an artifact, the manifest's own among them."""
    return {MANIFEST_FILE, *(entry.file for entry in file_records(manifest))}


def strangers(folder: Path, manifest: Manifest) -> list[str]:
    """Names in an artifact's folder that are none of its files, in order."""
    return sorted({path.name for path in folder.iterdir()} - file_names(manifest))


@contextlib.contextmanager
def staging(target: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Draft]:
    """Open a draft beside target; leave without commit, or with an exception, and it is gone.

    Args:
        target: the artifact's folder: missing (parents are made), empty, or, with overwrite, an
            artifact. A link is followed.
        overwrite: replace an artifact that is there.

    Raises:
        ArtifactExists: target is a file, or not empty (without overwrite, or no artifact).
        SaveFailed: the file system refused (any OSError in the block); target is as it was.
        UsageError: target is the current folder.
    """
    place = Path(os.path.realpath(target))
    check_target(place, overwrite=overwrite)
    missing = [folder for folder in place.parents if not folder.exists()]
    draft = hidden_sibling(place, "draft")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        sweep(place)
        draft.mkdir()
        yield Draft(draft, place, overwrite)
    except OSError as error:
        raise _save_failed(place, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        with contextlib.suppress(OSError):
            for folder in missing:
                folder.rmdir()


def check_target(target: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Refuse early what commit would refuse late.

    Raises:
        ArtifactExists: target is a file, or not empty (without overwrite, or no artifact).
        UsageError: target is the current folder.
        SaveFailed: target cannot be looked at.
    """
    place = Path(target)
    try:
        received = _obstacle(place, overwrite)
        here = place.exists() and place.samefile(Path.cwd())
    except OSError as error:
        raise _save_failed(place, error) from error
    if received:
        raise ArtifactExists.of(f"folder {place}", *received)
    if here:
        # The shell would be left standing in the folder that was replaced.
        remedy = "name the folder from outside, or name one inside it"
        raise UsageError.of(f"folder {place}", "the current folder", "another folder", remedy)


def _obstacle(place: Path, overwrite: bool) -> tuple[str, str, str] | None:
    """What stands in the way at place: received, expected, remedy."""
    elsewhere = "choose another folder"
    if not os.path.lexists(place):
        return None
    if not place.is_dir():
        return "a file", "a new or empty folder", elsewhere
    entries = list(place.iterdir())
    if not entries:
        return None
    count = f"not empty ({len(entries)} entries)"
    if not overwrite:
        remedy = f"pass overwrite=True (--overwrite) to replace it, or {elsewhere}"
        return count, "a new or empty folder", remedy
    if not (place / MANIFEST_FILE).is_file():
        received = f"{count}, without {MANIFEST_FILE}"
        return received, "an rnnport artifact to overwrite", f"{elsewhere}, or empty this one"
    folders = sorted(entry.name for entry in entries if entry.is_dir())
    if folders:
        # An artifact is flat: this is rather somebody's project that an artifact was put into.
        received = f"it also holds the folder {folders[0]!r}"
        return received, "only an artifact's files", f"{elsewhere}, or move that one away"
    return None


def _put_in_place(draft: Path, target: Path, overwrite: bool) -> None:
    check_target(target, overwrite=overwrite)
    if target.exists():
        draft.chmod(stat.S_IMODE(target.stat().st_mode))
    if target.is_dir() and any(target.iterdir()):
        old = replace_folder(draft, target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        _fill_empty(draft, target)
    with contextlib.suppress(OSError):
        sync_folder(target.parent)


def _fill_empty(draft: Path, target: Path) -> None:
    """Rename onto nothing or an empty folder; the system itself refuses a full one."""
    if sys.platform == "win32" and target.exists():
        target.rmdir()
    try:
        draft.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        remedy = "save again with overwrite=True (--overwrite), or choose another folder"
        raise ArtifactExists.of(
            f"folder {target}", "filled by somebody else meanwhile", "a new or empty folder", remedy
        ) from error


def _save_failed(target: Path, error: OSError) -> SaveFailed:
    reason = error.strerror or str(error)
    where = f" ({error.filename})" if error.filename else ""
    return SaveFailed.of(
        f"saving {target}",
        f"{reason}{where}",
        "a file system that takes the artifact's files; nothing there was changed",
        _REMEDIES.get(error.errno or 0, "mend what the system reports, or choose another folder"),
    )
