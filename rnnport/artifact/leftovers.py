"""Hidden folders of saves in progress, and what to do with those of processes that were killed.

A save works in a hidden sibling of its target, named
`.rnnport-<role>-<target>-<host>-<pid>-<token>`: <target> and <host> are hashes, and so only the
machine that made a folder judges whether its owner still lives. Roles: "draft", a new artifact
being written (or an old one that a new one has replaced), and "aside", the old artifact while a
system without atomic exchange puts the new one in its place.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

__all__ = ["hidden_sibling", "recover", "sweep"]

Role = Literal["draft", "aside"]
_HEX8 = "[0-9a-f]{8}"
_NAME = re.compile(rf"\.rnnport-(draft|aside)-({_HEX8})-({_HEX8})-(\d{{1,10}})-{_HEX8}")


def hidden_sibling(target: Path, role: Role) -> Path:
    """A fresh name beside target, on the same file system; nothing is created."""
    owner = f"{_hash(target.name)}-{_hash(platform.node())}-{os.getpid()}"
    return target.with_name(f".rnnport-{role}-{owner}-{secrets.token_hex(4)}")


def recover(target: Path) -> None:
    """Put the old artifact back where a save was killed between two renames.

    Only where target is missing and the save's process is dead. Does nothing where it may not.
    """
    if os.path.lexists(target):
        return
    with contextlib.suppress(OSError):
        asides = sorted(_abandoned(target, "aside"), key=lambda path: path.stat().st_mtime)
        if asides:
            asides[-1].rename(target)


def sweep(target: Path) -> None:
    """Remove what killed saves to the same target left behind."""
    recover(target)
    with contextlib.suppress(OSError):
        for role in ("draft", "aside"):
            for path in list(_abandoned(target, role)):
                shutil.rmtree(path, ignore_errors=True)


def _abandoned(target: Path, role: str) -> Iterator[Path]:
    """Folders of role beside target whose process, on this machine, is dead."""
    ours = (role, _hash(target.name), _hash(platform.node()))
    for path in target.parent.iterdir():
        match = _NAME.fullmatch(path.name)
        if match is None or match.groups()[:3] != ours or _alive(int(match[4])):
            continue
        if path.is_dir() and not path.is_symlink():
            yield path


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _alive(pid: int) -> bool:
    if sys.platform == "win32":
        # os.kill(pid, 0) would send Ctrl-C there instead of probing.
        query_limited_information, still_active = 0x1000, 259
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(query_limited_information, False, pid)
        code = ctypes.c_ulong()
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return code.value == still_active
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
