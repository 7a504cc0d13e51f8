from __future__ import annotations

import json
import math
from dataclasses import replace

import msgspec
import pytest

from rnnport.parity.groups import QUESTIONS, grouped, share
from rnnport.parity.ratios import ratios
from rnnport.parity.reading import read_report
from rnnport.parity.report import ParityReport
from rnnport.parity.sentences import headline, margin, place, reason, starts, summary
from rnnport.spec import CHECK_KINDS, Check
from tests.parity import reports

EVERY = ("passed", "failed", "lacking", "partial", "small", "hostile")


def check(kind: str, error: float | None = 1e-7, passed: bool = True, note: str = "") -> Check:
    return Check(name="c", output="y", error=error, bound=1e-5, passed=passed, kind=kind, note=note)


def test_every_kind_has_a_question() -> None:
    assert tuple(QUESTIONS) == CHECK_KINDS


def test_kinds_come_in_their_order_and_unknown_ones_behind() -> None:
    found = grouped([check(kind) for kind in ("", "new", "streaming", "masks", "streaming")])
    assert [(g.title, len(g.checks)) for g in found] == [
        ("masks", 1),
        ("streaming", 2),
        ("new", 1),
        ("other checks", 1),
    ]


def test_the_worst_of_a_group_that_failed_is_one_that_failed() -> None:
    broken = check("masks", 2e-7, passed=False, note="constant")
    (group,) = grouped([check("masks", 9e-6), broken])
    assert group.worst == broken
    (lost,) = grouped([check("masks", 9e-6), check("masks", None, passed=False)])
    assert lost.worst is None


def test_shares() -> None:
    equal = msgspec.structs.replace(check(""), bound=0.0, error=0.0)
    unequal = msgspec.structs.replace(equal, error=1.0)
    assert share(check("", 5e-6)) == pytest.approx(0.5)
    assert [share(c) for c in (equal, unequal, check("", None))] == [0.0, math.inf, None]
    found = (equal, check("", 0.0), unequal, check("", None), check("", 5e-6))
    assert [margin(c) for c in found] == [
        "equal",
        "equal",
        "not equal",
        "nothing was measured",
        "50 % of its bound",
    ]


@pytest.mark.parametrize(
    ("name", "word", "sentence"),
    [
        ("passed", "passed", "All 72 checks passed, worst error 3.1e-06, 31 % of its bound."),
        (
            "failed",
            "failed",
            "6 of 72 checks failed: 1 of 10 shapes, 3 of 20 masks, 1 of 4 streaming, "
            "1 of 2 accuracy.",
        ),
        ("lacking", "cannot run", "openvino cannot run this model."),
        (
            "partial",
            "cannot run",
            "cuda cannot run stream.onnx. Of the rest: All 72 checks passed, worst error 3.1e-06, "
            "31 % of its bound.",
        ),
        ("small", "passed", "The one check passed, worst error 2.0e-07, 2.0 % of its bound."),
    ],
)
def test_verdicts(name: str, word: str, sentence: str) -> None:
    report: ParityReport = getattr(reports, name)()
    assert (headline(report), summary(report)) == (word, sentence)


def test_comparing_nothing_proves_nothing() -> None:
    assert summary(ParityReport("m", "cpu", ())) == (
        "Nothing was compared, and so nothing is proven."
    )


def test_kinds_are_left_out_where_no_check_has_one() -> None:
    report = ParityReport("m", "cpu", (check("", 1.0, passed=False), check("")))
    assert summary(report) == "1 of 2 checks failed."


def test_one_start_for_every_kind_that_failed_and_knows() -> None:
    assert starts(reports.failed()) == [
        ("masks", "row 2, step 7 of 23, the first masked step: 4.1e-02"),
        ("streaming", "chunk 3, step 11: 1.2e-06"),
    ]


def test_reasons() -> None:
    far = check("", 1.2e-3, passed=False)
    assert reason(far) == "max abs error 1.2e-03, bound 1.0e-05 (120 × its bound)"
    assert reason(check("", 1e-7, passed=False, note="constant")) == "constant"
    assert reason(check("", None, passed=False, note="lost")) == "lost"
    loops = msgspec.structs.replace(far, bound=0.0, error=2.0, note="2 of its nodes are Loop")
    assert reason(loops) == "2 of its nodes are Loop"
    assert place(far) == "c, output y"
    assert place(msgspec.structs.replace(far, output="")) == "c"
    assert reason(msgspec.structs.replace(far, note="NaN")) == f"{reason(far)}; NaN"


def test_the_law_of_accuracy() -> None:
    good = ratios(reports.passed())
    assert good is not None
    assert good.sentence == (
        "As accurate as TensorFlow itself: median 1.01 ×, worst 1.32 × TensorFlow's own error."
    )
    one = reports.passed().accuracy[0]
    three = [msgspec.structs.replace(one, ratio=r) for r in (1.0, 1.0, 3.01)]
    far = replace(reports.small(), accuracy=tuple(three))
    told = ratios(far)
    assert told is not None
    assert told.sentence == (
        "Against float64: median 1.00 ×, worst 3.01 × TensorFlow's own error; every run is within "
        "its bound."
    )
    worse = ratios(replace(far, checks=(check("accuracy", 1.0, passed=False),)))
    assert worse is not None
    assert worse.sentence == (
        "Less accurate than TensorFlow: median 1.00 ×, worst 3.01 × TensorFlow's own error."
    )
    assert ratios(reports.small()) is None


@pytest.mark.parametrize("name", EVERY)
def test_a_report_survives_json(name: str) -> None:
    report: ParityReport = getattr(reports, name)()
    assert read_report(json.loads(json.dumps(report.to_dict()))) == report


def test_what_is_not_finite_survives_json_as_infinite() -> None:
    report = reports.passed()
    first = report.accuracy[0]
    odd = msgspec.structs.replace(first, ratio=math.nan, steps=[math.nan, 1e-8])
    wide = msgspec.structs.replace(report.checks[0], bound=math.inf)
    back = read_report(replace(report, checks=(wide,), accuracy=(odd,)).to_dict())
    assert back.checks[0].bound == math.inf
    assert (back.accuracy[0].ratio, back.accuracy[0].steps) == (math.inf, [math.inf, 1e-8])


def test_other_facts_are_refused() -> None:
    facts = reports.small().to_dict()
    for name in ("name", "checks"):
        lost = {key: value for key, value in facts.items() if key != name}
        with pytest.raises(msgspec.ValidationError, match=f"`{name}`"):
            read_report(lost)
    with pytest.raises(msgspec.ValidationError, match="Expected `str`"):
        read_report({**facts, "provider": 3})
