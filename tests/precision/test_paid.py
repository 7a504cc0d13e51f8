from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnport.artifact.golden import GoldenCase
from rnnport.parity.checks.precision import within_budget
from rnnport.parity.compare import Comparison
from rnnport.parity.paid import paid, paid_words, spread
from rnnport.spec import Paid

Array = np.ndarray[Any, Any]


def case(output: Any, kind: str = "shapes") -> GoldenCase:
    return GoldenCase("one", {}, {"y": np.array(output, np.float32)}, kind)


def cost(expected: Any, received: Any) -> Paid:
    found = paid([case(expected)], [{"y": np.array(received, np.float32)}], "y")
    assert found is not None
    return found


def test_probabilities_of_classes_flip_by_their_largest() -> None:
    expected = [[0.6, 0.4], [0.1, 0.9], [0.0, 0.0]]
    found = cost(expected, [[0.4, 0.6], [0.2, 0.8], [0.1, 0.0]])
    assert (found.rule, found.decisions, found.flipped) == ("argmax", 2, 1)
    assert found.worst == pytest.approx(0.2)
    off = np.sqrt((0.2**2 * 2 + 0.1**2 * 2 + 0.1**2) / 6)
    assert found.mean == pytest.approx(off / np.std(expected))
    percent = f"{off / np.std(expected):.2%}"
    assert paid_words(found) == (
        f"{percent} of the spread on average, at worst 2.0e-01; 1 of 2 decisions flipped"
    )


def test_single_probabilities_flip_at_half() -> None:
    found = cost([[0.4], [0.6], [0.9]], [[0.51], [0.61], [0.49]])
    assert (found.rule, found.decisions, found.flipped) == ("half", 3, 2)
    several = cost([[0.4, 0.9], [0.6, 0.9]], [[0.6, 0.9], [0.6, 0.9]])
    assert (several.rule, several.decisions, several.flipped) == ("half", 4, 1)


def test_one_number_is_no_decision() -> None:
    found = cost([[3.0], [-4.0]], [[3.5], [-4.0]])
    assert (found.rule, found.decisions, found.flipped) == ("", 0, 0)
    assert found.worst == pytest.approx(0.5 / 4)
    assert paid_words(found) == "10.10% of the spread on average, at worst 1.2e-01"


def test_extremes_are_not_averaged_in() -> None:
    cases = [case([[1.0], [3.0]]), case([[1e6]], "scale")]
    assert spread(cases, "y") == 1.0
    given = [{"y": np.array([[1.0], [3.0]], np.float32)}, {"y": np.zeros((1, 1), np.float32)}]
    found = paid(cases, given, "y")
    assert found == Paid(output="y", worst=0.0, mean=0.0)


def test_nothing_to_compare_is_no_cost() -> None:
    assert paid([case([[1.0], [1.0]])], [{"y": np.ones((2, 1), np.float32)}], "y") is None
    assert paid([case([[1.0], [2.0]])], [{}], "y") is None


def judged(expected: Any, received: Any, kind: str = "masks") -> Any:
    run = Comparison("run", {"y": np.asarray(expected)}, {"y": np.asarray(received)}, "", kind)
    (check,) = within_budget([run], [case([[0.0], [2.0]])], ["y"], "int8")
    return check


def test_a_budget_is_kept_or_not() -> None:
    zeros = np.zeros(4, np.float32)
    assert (judged(zeros, zeros + 0.04).passed, judged(zeros, zeros + 0.06).passed) == (True, False)
    assert judged(zeros, zeros + 0.4, "scale").passed
    assert not judged(zeros, zeros + 0.6, "drift").passed
    wide = np.array([0, 2000], np.float32)
    assert judged(wide, wide + 400, "scale").error == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("expected", "received", "note"),
    [
        (np.zeros(2), np.zeros(3), "received float64 (3,), expected float64 (2,)"),
        (np.zeros(2), np.array([0, np.nan]), "NaN or infinity differs at 1 of 2 places"),
        (np.zeros(0), np.zeros(0), "nothing was compared: the output is empty"),
    ],
)
def test_what_cannot_be_compared_fails(expected: Array, received: Array, note: str) -> None:
    check = judged(expected, received)
    assert (check.passed, check.error, check.note) == (False, None, note)


def test_a_run_that_gave_nothing_fails() -> None:
    run = Comparison("run", {"y": np.zeros(2)}, {}, "it broke", "masks")
    (check,) = within_budget([run], [case([[0.0], [2.0]])], ["y"], "int8")
    assert (check.passed, check.note) == (False, "nothing was compared: it broke")


def test_whole_numbers_by_the_part_that_differs() -> None:
    ids = np.arange(100)
    other = ids.copy()
    other[:4] += 1
    assert judged(ids, other).error == 0.04
    other[4:6] += 1
    assert not judged(ids, other).passed
