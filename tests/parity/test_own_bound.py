from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rnnport.errors import UsageError
from rnnport.parity.own_bound import held_to
from rnnport.parity.report import ParityReport
from rnnport.parity.story import failure_story
from rnnport.spec import Check
from tests.parity import reports


def check(
    error: float | None, *, bound: float = 2e-5, kind: str = "masks", note: str = ""
) -> Check:
    passed = error is not None and error <= bound and not note.startswith("constant")
    return Check(
        name="c", output="y", error=error, bound=bound, passed=passed, kind=kind, note=note
    )


def judged(one: Check, tolerance: float | None) -> Check:
    (found,) = held_to(ParityReport("m", "cpu", (one,)), tolerance).checks
    return found


def test_a_tighter_bound_fails_what_passed_and_says_so() -> None:
    found = judged(check(5e-6), 1e-6)
    assert (found.passed, found.bound) == (False, pytest.approx(2e-6))
    assert found.note == "passes at the table's bound, 2.0e-05"
    assert judged(check(1.9e-6), 1e-6).passed


def test_a_looser_bound_passes_what_failed_by_its_size_alone() -> None:
    far = judged(check(5e-4), 1e-3)
    assert (far.passed, far.bound, far.note) == (True, pytest.approx(2e-3), "")
    assert not judged(check(5e-3), 1e-3).passed


@pytest.mark.parametrize(
    "one",
    [
        check(None, note="nothing was compared"),
        check(1e-9, note="constant"),
        check(1e-5, note="ill-conditioned: last bits of the weights move this output"),
        check(3e-6, bound=1e-6, kind="streaming"),
        check(1.0, bound=0.0, kind="generation"),
        check(1e-5, kind="accuracy"),
    ],
)
@pytest.mark.parametrize("tolerance", [1e-9, 1.0])
def test_what_is_no_matter_of_size_keeps_its_verdict(one: Check, tolerance: float) -> None:
    assert judged(one, tolerance) == one


def test_equal_values_stay_equal() -> None:
    one = Check(name="c", output="ids", error=1.0, bound=0.0, passed=False, kind="masks")
    assert judged(one, 1.0) == one


def test_none_changes_nothing() -> None:
    report = reports.failed()
    assert held_to(report, None) is report


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan"), float("inf")])
def test_a_tolerance_is_a_positive_number(tolerance: Any) -> None:
    with pytest.raises(UsageError) as caught:
        held_to(reports.small(), tolerance)
    assert str(caught.value) == (
        f"tolerance | received: {tolerance} | expected: a positive number, 1e-5 say | "
        "remedy: mend it"
    )


def test_the_story_of_a_failure() -> None:
    story = failure_story(reports.failed(), "", "report: r.html")
    assert story.splitlines() == [
        "sleep-staging on cpu: 6 of 72 checks failed: 1 of 10 shapes, 3 of 20 masks, "
        "1 of 4 streaming, 1 of 2 accuracy.",
        "  shapes: B=1 T=1, output stage: nothing was compared: InvalidArgument: "
        "[ONNXRuntimeError] : 2 : got invalid dimensions",
        *(
            line
            for output, size, far, time in (
                ("stage", "4.1e-02", "4100", 11),
                ("spindles", "2.1e-02", "2050", 11),
                ("stage", "1.4e-02", "1367", 23),
            )
            for line in (
                f"  masks: right mask, B=4 T={time}, output {output}: max abs error {size}, "
                f"bound 1.0e-05 ({far} × its bound)",
                "    starts: row 2, step 7 of 23, the first masked step: 4.1e-02",
            )
        ),
        "  streaming: B=3 T=41 in 5 chunks, output stage: max abs error 3.4e-06, "
        "bound 1.0e-06 (3.40 × its bound)",
        "    starts: chunk 3, step 11: 1.2e-06",
        "  accuracy: against float64, drift, B=2 T=1000, output spindles: max abs error 5.0e-05, "
        "bound 1.0e-05 (5.00 × its bound); 3.9 times TensorFlow's own error",
        "report: r.html",
    ]


def test_a_long_story_is_cut_and_says_so() -> None:
    far = check(1.0, kind="")
    story = failure_story(ParityReport("m", "cpu", (far,) * 30)).splitlines()
    assert len(story) == 1 + 12 + 1
    assert story[1].startswith("  c, output y: max abs error 1.0e+00")
    assert story[-1] == "  … and 18 more"
    assert "  model, LSTM: ignores sequence_lens without an error" in failure_story(
        replace(reports.lacking())
    )
