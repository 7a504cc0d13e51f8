"""Put one folder in another's place so that a kill leaves either the old one or the new.

Linux exchanges the two in one system call (renameat2 with RENAME_EXCHANGE). Elsewhere, and on
file systems that cannot, the old folder steps aside first; a kill between the two renames leaves
nothing at the target, and the next open or save puts the old folder back (leftovers.recover).
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

from rnnport.artifact.leftovers import hidden_sibling

__all__ = ["exchange", "replace_folder", "sync_folder", "sync_tree"]

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM}


def replace_folder(draft: Path, target: Path) -> Path:
    """Exchange draft with the folder at target.

    Returns:
        Where the old folder is now.

    Raises:
        OSError: the file system refused; target is as it was.
    """
    return draft if exchange(draft, target) else _step_aside(draft, target)


def exchange(draft: Path, target: Path) -> bool:
    """Exchange two folders in one system call.

    Returns:
        False where the system or the file system has no such call.

    Raises:
        OSError: the file system refused for another reason.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    old, new = os.fsencode(draft), os.fsencode(target)
    if renameat2(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(target))


def sync_tree(folder: Path) -> None:
    """Write every file of a flat folder, and the folder itself, through to the disk."""
    for path in folder.iterdir():
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Write a folder's entries through to the disk; Windows has no such thing."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def _step_aside(draft: Path, target: Path) -> Path:
    aside = hidden_sibling(target, "aside")
    target.rename(aside)
    try:
        draft.rename(target)
    except BaseException:
        if not os.path.lexists(target):
            aside.rename(target)
        raise
    return aside
