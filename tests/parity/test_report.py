from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from rnnport.parity.report import ParityReport
from rnnport.parity.table import parity_table, verdict_line
from rnnport.spec import Check

GOOD = Check(name="golden 1", output="y", error=2e-7, bound=1e-5, passed=True)
NEAR = Check(name="golden 2", output="y", error=4e-6, bound=1e-4, passed=True)
EQUAL = Check(name="golden 1", output="ids", error=0.0, bound=0.0, passed=True)
BAD = Check(name="fresh", output="[y]", error=None, bound=0.0, passed=False, note="[nothing]")


def text(report: ParityReport) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(parity_table(report.checks), verdict_line(report))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("checks", "passed"), [((), False), ((GOOD,), True), ((GOOD, BAD), False), ((EQUAL,), True)]
)
def test_it_passes_if_all_do_and_there_are_any(checks: tuple[Check, ...], passed: bool) -> None:
    assert ParityReport("m", "cpu", checks).passed is passed


def test_the_worst_is_the_nearest_to_its_bound() -> None:
    assert ParityReport("m", "cpu", (EQUAL, GOOD, NEAR, BAD)).worst == NEAR
    assert ParityReport("m", "cpu", (BAD,)).worst is None
    assert ParityReport("m", "cpu", (EQUAL, BAD)).failures == (BAD,)


def test_to_dict_is_plain_data() -> None:
    plain = ParityReport("m", "cpu", (GOOD, BAD)).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert (plain["name"], plain["provider"], plain["passed"]) == ("m", "cpu", False)
    assert plain["checks"][1]["note"] == "[nothing]"


def test_the_table_shows_every_figure_and_names_with_brackets() -> None:
    shown = text(ParityReport("m", "cpu", (GOOD, EQUAL, BAD)))
    for part in ("golden 1", "2.0e-07", "1.0e-05", "pass", "FAIL", "[y]", "[nothing]", "why"):
        assert part in shown
    assert "✗ m on cpu: 1 of 3 checks failed" in shown


def test_the_verdict_of_a_passed_report() -> None:
    shown = text(ParityReport("m", "cuda", (GOOD, NEAR)))
    assert "✓ m on cuda: all 2 checks passed, worst error 4.0e-06 (bound 1.0e-04)" in shown
    assert "why" not in shown
