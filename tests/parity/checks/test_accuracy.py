from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnport.artifact.golden import TENSORFLOW, GoldenCase
from rnnport.parity.checks.accuracy import accuracies, check_accuracy
from rnnport.parity.checks.golden import check_golden
from rnnport.parity.histogram import histograms

TRUTH = np.linspace(-2.0, 2.0, 24).reshape(2, 4, 3)


def case(theirs: float, kind: str = "shapes", at: int = 2) -> GoldenCase:
    """TensorFlow is off by so much at one step."""
    given = TRUTH.copy()
    given[0, at, 1] += theirs
    x = {"x": np.zeros((2, 4, 3), np.float32)}
    name = f"{kind} {theirs}"
    return GoldenCase(name, x, {"y": given}, kind, {"y": TRUTH}, TENSORFLOW)


def received(ours: float, at: int = 3) -> tuple[dict[str, Any], str]:
    given = TRUTH.copy()
    given[1, at, 0] -= ours
    return {"y": given}, ""


def test_errors_stand_side_by_side_per_output_and_step() -> None:
    (found,) = accuracies([case(4e-6)], [received(6e-6)], ["y"], ["y"])
    assert found.error == pytest.approx(3e-6)
    assert found.tensorflow == pytest.approx(2e-6)
    assert found.ratio == pytest.approx(1.5)
    assert found.truth == "TensorFlow in float64"
    assert found.steps == pytest.approx([0, 0, 0, 3e-6])
    assert found.tensorflow_steps == pytest.approx([0, 0, 2e-6, 0])


def test_below_half_a_unit_in_the_last_place_all_are_equal() -> None:
    (found,) = accuracies([case(1e-12)], [received(5e-8)], ["y"], [])
    assert found.ratio == 1.0
    assert found.steps == []


@pytest.mark.parametrize(
    ("ours", "theirs", "passed"),
    [(5.9e-6, 2e-6, True), (6.1e-6, 2e-6, False), (1.9e-6, 1e-9, True), (2.1e-6, 1e-9, False)],
)
def test_three_times_as_far_as_tensorflow_is_the_end(
    ours: float, theirs: float, passed: bool
) -> None:
    golden = [case(theirs), case(1e-6, "scale")]
    given = [received(ours), received(1.0)]
    (check,) = check_accuracy(accuracies(golden, given, ["y"], []), golden, 1e-5)
    assert (check.kind, check.output, check.passed) == ("accuracy", "y", passed)
    assert check.name == f"against float64, shapes {theirs}"


def test_a_difference_that_is_tensorflows_own_is_excused_and_said() -> None:
    """TensorFlow is off by 2e-4 at a scale where the bound is 2e-5; rnnport is off by less."""
    golden = [case(2e-4, "scale")]
    (check,) = check_golden(golden, lambda inputs: received(3e-4)[0], ["y"], 1e-5)
    assert check.passed
    assert check.error == pytest.approx(3e-4)
    assert check.bound == pytest.approx(6e-4)
    assert check.note == "against float64, from which TensorFlow itself is 2.0e-04 away"


@pytest.mark.parametrize(("ours", "theirs"), [(7e-4, 2e-4), (3e-4, 9e-6), (3e-3, 5e-3)])
def test_a_difference_that_is_not_fails(ours: float, theirs: float) -> None:
    """Beyond three times TensorFlow's error, or where TensorFlow is lost altogether."""
    golden = [case(theirs, "drift")]
    (check,) = check_golden(golden, lambda inputs: received(ours)[0], ["y"], 1e-5, timed=["y"])
    assert not check.passed
    assert check.kind == "drift"
    assert check.start.startswith("step ")


@pytest.mark.parametrize(("ours", "passed"), [(5.9e-4, True), (6.1e-4, False)])
def test_an_extreme_case_is_held_to_what_rounding_does_there(ours: float, passed: bool) -> None:
    """Last bits of the weights move it by 1e-4, of a magnitude of 2."""
    extreme = replace(case(0.0, "scale"), truth={}, moves={"y": 1e-4})
    (check,) = check_golden([extreme], lambda inputs: received(ours)[0], ["y"], 1e-5)
    assert check.passed is passed
    plain = replace(extreme, moves={})
    assert not check_golden([plain], lambda inputs: received(ours)[0], ["y"], 1e-5)[0].passed


def test_histograms_count_every_element_once() -> None:
    golden = [case(4e-6), case(0.0)]
    given = [received(6e-6), received(0.0)]
    (found,) = histograms(golden, given, ["y", "never given"])
    assert found.exact == 46
    assert found.counts == {-6: 2}
