from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from rnnport.parity.report import ParityReport
from rnnport.parity.table import parity_lines, parity_table, verdict_line
from rnnport.spec import Check
from tests.parity import reports

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
    for part in ("golden 1", "2.0e-07", "1.0e-05", "pass", "FAIL", "[y]", "[nothing]", "equal"):
        assert part in shown
    assert "✗ m on cpu: 1 of 3 checks failed" in shown


def test_the_verdict_of_a_passed_report() -> None:
    shown = text(ParityReport("m", "cuda", (GOOD, NEAR)))
    assert "✓ m on cuda: all 2 checks passed, worst error 4.0e-06 (bound 1.0e-04)" in shown
    assert "FAIL" not in shown


def lines(report: ParityReport, width: int = 80, *, every_row: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(parity_lines(report, every_row=every_row))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line) <= width for line in text.splitlines())
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize("width", [80, 120])
def test_a_report_that_passed_has_one_line_a_kind(width: int) -> None:
    shown = lines(reports.passed(), width)
    assert "masks         20 of 20       2.9e-06   1.0e-05   pass" in shown
    assert "determinism     4 of 4             0     equal   pass" in shown
    assert shown[0].split() == ["kind", "passed", "worst", "error", "bound", "verdict"]
    assert sum(line.endswith("pass") for line in shown) == 13
    told = " ".join(shown)
    assert "accuracy: As accurate as TensorFlow itself: median 1.01 ×, worst 1.32 ×" in told
    assert "reproduce" not in told
    assert shown[-1].startswith("✓ sleep-staging on cpu: all 72 checks passed") or width == 80


def test_every_row_where_asked() -> None:
    shown = lines(reports.passed(), 120, every_row=True)
    assert sum(line.endswith("pass") for line in shown) == 13 + 72


def test_a_report_that_failed_has_the_rows_of_kinds_that_failed_and_where_they_start() -> None:
    shown = lines(reports.failed(), 120)
    assert "masks         17 of 20       4.1e-02   1.0e-05   FAIL" in shown
    rows = [line for line in shown if line.startswith("  ") and line.endswith(("pass", "FAIL"))]
    assert len(rows) == 10 + 20 + 4 + 2
    assert [row.endswith("FAIL") for row in rows[10:14]] == [True, True, True, False]
    assert "    starts: row 2, step 7 of 23, the first masked step: 4.1e-02" in shown
    assert f"reproduce: {reports.COMMAND}" in shown
    assert shown[-1] == "✗ sleep-staging on cpu: 6 of 72 checks failed"


def test_what_a_provider_lacks() -> None:
    assert lines(reports.lacking(), 120) == [
        "lacks: model, LSTM: ignores sequence_lens without an error",
        "lacks: stream, Scan: no Scan with an open number of steps",
        f"reproduce: {reports.COMMAND.replace('cpu', 'openvino')}",
        "",
        "✗ sleep-staging on openvino: cannot run this model",
    ]
    some = lines(reports.partial(), 120)
    assert "lacks: stream, Scan: no Scan with an open number of steps" in some
    told = "cannot run stream.onnx; 72 of 72 checks of the rest passed"
    assert some[-1] == f"✗ sleep-staging on cuda: {told}"


def test_nothing_compared() -> None:
    assert lines(replace(reports.small(), checks=())) == ["✗ tiny on cpu: nothing was compared"]


def test_names_with_brackets_and_of_any_length() -> None:
    shown = " ".join(lines(reports.hostile()))
    assert "]]>bidirectional_" in shown
    assert "<script>alert('x')</script>" in shown
