"""docs/support.md has every row of the mission table, each with a parity figure; none is stale."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support_rows import ROWS, row_of

SUPPORT = Path(__file__).resolve().parents[1] / "docs" / "support.md"
# A tenth of 1e-4 would be a tolerance missed: parity on CPU is 1e-5.
BOUND = 1e-5


def rows() -> dict[str, list[str]]:
    lines = [line for line in SUPPORT.read_text().splitlines() if re.match(r"\| [KT]\d", line)]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


@pytest.mark.parametrize("row", ROWS)
def test_row_has_its_figures(row: str) -> None:
    what, models, operators, error, streams = rows()[row]
    assert what == ROWS[row]
    assert int(models) > 0
    assert operators
    assert 0.0 <= float(error) <= BOUND
    assert streams
    assert re.search(r"\d|no:", streams)


def test_no_other_rows() -> None:
    assert list(rows()) == list(ROWS)


@pytest.mark.parametrize(
    ("nodeid", "row"),
    [
        ("tests/test_mission.py::test_k1_embedding_lstm_softmax", "K1"),
        ("tests/test_mission.py::test_k13_options[a-b]", "K13"),
        ("tests/test_handoff_forms.py::test_cut_in_two[K19: Attention]", "K19"),
        ("tests/tf1/test_rows.py::test_row_is_fused[T6 raw_rnn]", "T6"),
        ("tests/keras2/test_old_files.py::test_custom_objects", "K18"),
        ("tests/test_mission.py::test_k77_nothing", None),
        ("tests/runtime/test_beam.py::test_scales_agree", None),
    ],
)
def test_rows_are_read_from_the_names_of_tests(nodeid: str, row: str | None) -> None:
    assert row_of(nodeid) == row
