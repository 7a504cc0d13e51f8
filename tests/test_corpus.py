"""Models that once failed; `scripts/fuzz --keep` adds to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sweep.case_file import CORPUS, read_case, write_case
from tests.sweep.check import check

FILES = sorted(CORPUS.glob("*.json"))

pytestmark = pytest.mark.filterwarnings(
    "ignore:Layer .* was passed an input with a mask:UserWarning"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_once_failed(path: Path, tmp_path: Path) -> None:
    check(read_case(path), tmp_path / "out")


def test_every_file_says_what_it_broke() -> None:
    assert len(FILES) >= 8
    told = [json.loads(path.read_text())["broke"] for path in FILES]
    assert all(len(line) > 20 and "say here" not in line for line in told)
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_hold_settled_cases_and_nothing_else(path: Path, tmp_path: Path) -> None:
    case = read_case(path)
    assert case.settled() == case
    write_case(tmp_path / "again.json", case, json.loads(path.read_text())["broke"])
    assert (tmp_path / "again.json").read_text() == path.read_text()


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    path.write_text('{"broke": "", "family": "Stack", "model": {"layers": [{"colour": "red"}]}}')
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        read_case(path)
