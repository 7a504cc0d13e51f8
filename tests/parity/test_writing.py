from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnnport.errors import SaveFailed, UsageError
from rnnport.parity.html import render
from rnnport.parity.junit import junit_xml
from rnnport.parity.writing import write_junit, write_report
from tests.parity import reports


def test_both_files_hold_what_was_rendered(tmp_path: Path) -> None:
    report = reports.failed()
    page, xml = tmp_path / "r.html", tmp_path / "r.xml"
    assert write_report(report, page) == page
    assert write_junit(report, str(xml)) == xml
    assert page.read_text("utf-8") == render(report.to_dict())
    assert xml.read_text("utf-8") == junit_xml(report)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.html", "r.xml"]


def test_a_report_that_is_there_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    page.write_text("old")
    write_report(reports.small(), page)
    assert page.read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "r.htm",
            "report r.htm | received: r.htm | expected: a name that ends in .html | "
            "remedy: name it r.html",
        ),
        (
            "none/r.html",
            "report none/r.html | received: no folder none | expected: a folder to write in | "
            "remedy: make it first",
        ),
        (
            "dir.html",
            "report dir.html | received: a folder | expected: the path of an HTML report | "
            "remedy: name a file in it",
        ),
        (
            True,
            "report | received: bool | expected: the path of an HTML report | remedy: pass a path",
        ),
    ],
)
def test_paths_that_cannot_be_meant(
    path: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dir.html").mkdir()
    with pytest.raises(UsageError) as caught:
        write_report(reports.small(), path)
    assert str(caught.value) == message
    assert [p.name for p in tmp_path.iterdir()] == ["dir.html"]


def test_a_write_that_fails_leaves_the_old_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "r.html"
    page.write_text("old")

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(SaveFailed) as caught:
        write_report(reports.small(), page)
    assert str(caught.value) == (
        f"report {page} | received: No space left on device | expected: a file system that takes "
        "the file; nothing there was changed | remedy: mend what the system reports, or choose "
        "another folder"
    )
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]
