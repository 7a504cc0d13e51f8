"""Write a report to a file that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from rnnport.errors import SaveFailed, UsageError
from rnnport.parity.report import ParityReport

__all__ = ["check_report_path", "write_junit", "write_report"]

_KINDS = {".html": "an HTML report", ".xml": "a JUnit file"}


def write_report(report: ParityReport, path: str | os.PathLike[str]) -> Path:
    """Write the report as one self-contained HTML file; a file that is there is replaced.

    Args:
        report: what rnnport.verify gave.
        path: ends in .html.

    Raises:
        UsageError: another suffix, a folder at path, or no folder to write it in.
        SaveFailed: the file system refused; what was at path is as it was.
    """
    from rnnport.parity.html import render

    target = check_report_path(path, ".html")
    _write(target, render(report.to_dict()))
    return target


def write_junit(report: ParityReport, path: str | os.PathLike[str]) -> Path:
    """The same as JUnit XML; path ends in .xml."""
    from rnnport.parity.junit import junit_xml

    target = check_report_path(path, ".xml")
    _write(target, junit_xml(report))
    return target


def check_report_path(path: str | os.PathLike[str], suffix: str) -> Path:
    """Refuse a path that cannot be meant, before the long work whose result it is to hold.

    Args:
        path: where the file shall be.
        suffix: ".html" or ".xml".

    Raises:
        UsageError: as write_report.
    """
    kind = _KINDS[suffix]
    if not isinstance(path, (str, os.PathLike)):
        raise UsageError.of("report", type(path).__name__, f"the path of {kind}", "pass a path")
    target = Path(path)
    if target.suffix != suffix:
        remedy = f"name it {target.stem or 'report'}{suffix}"
        raise UsageError.of(
            f"report {target}", target.name, f"a name that ends in {suffix}", remedy
        )
    if target.is_dir():
        raise UsageError.of(
            f"report {target}", "a folder", f"the path of {kind}", "name a file in it"
        )
    if not target.parent.is_dir():
        received = f"no folder {target.parent}"
        raise UsageError.of(f"report {target}", received, "a folder to write in", "make it first")
    return target


def _write(target: Path, text: str) -> None:
    draft = target.with_name(f".{target.name[:80]}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            draft.write_bytes(text.encode("utf-8"))
            draft.replace(target)
        except OSError as error:
            raise _failed(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _failed(target: Path, error: OSError) -> SaveFailed:
    expected = "a file system that takes the file; nothing there was changed"
    remedy = "mend what the system reports, or choose another folder"
    return SaveFailed.of(f"report {target}", error.strerror or str(error), expected, remedy)
