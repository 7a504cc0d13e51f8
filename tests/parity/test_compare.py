from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnport.parity.compare import Comparison, compare, compare_all
from rnnport.spec import Check

nan, inf = np.nan, np.inf


def check(expected: Any, received: Any, dtype: str = "float32") -> Check:
    return compare("run", "y", np.array(expected, dtype), np.array(received, dtype), 1e-5)


def test_the_bound_grows_with_the_largest_magnitude_but_never_below_one() -> None:
    assert check([0.1, 0.2], [0.1, 0.2]).bound == 1e-5
    assert check([-50.0, 0.2], [-50.0, 0.2]).bound == pytest.approx(5e-4)
    assert check([inf, 2.0], [inf, 2.0]).bound == pytest.approx(2e-5)


@pytest.mark.parametrize(("difference", "passed"), [(0.9e-5, True), (1.1e-5, False)])
def test_errors_are_held_against_the_bound(difference: float, passed: bool) -> None:
    found = check([0.0, 1.0], [0.0, 1.0 + difference], "float64")
    assert found.error == pytest.approx(difference)
    assert found.passed is passed


@pytest.mark.parametrize(
    ("expected", "received", "note"),
    [
        ([nan, 1.0], [nan, 1.0], ""),
        ([inf, -inf, 1.0], [inf, -inf, 1.0], ""),
        ([nan, 1.0], [0.0, 1.0], "NaN or infinity differs at 1 of 2 places"),
        ([0.0, 1.0], [nan, 1.0], "NaN or infinity differs at 1 of 2 places"),
        ([inf, 1.0], [-inf, 1.0], "NaN or infinity differs at 1 of 2 places"),
        ([inf, 1.0], [nan, 1.0], "NaN or infinity differs at 1 of 2 places"),
        ([1.0, 2.0], [inf, 2.0], "NaN or infinity differs at 1 of 2 places"),
    ],
)
def test_nan_and_infinity_must_be_at_the_same_places(
    expected: Any, received: Any, note: str
) -> None:
    found = check(expected, received)
    assert found.passed is (not note)
    assert found.note == note
    assert found.error == 0.0


def test_nothing_finite_compares_nothing() -> None:
    found = check([nan, nan], [nan, nan])
    assert (found.passed, found.error) == (False, None)
    assert found.note == "nothing was compared: no finite value"


def test_whole_numbers_and_booleans_must_be_equal() -> None:
    assert check([1, 2], [1, 2], "int64").passed
    found = check([1, 2, 3], [1, 2, 5], "int64")
    assert (found.passed, found.error, found.bound) == (False, 2.0, 0.0)
    assert found.note == "1 of 3 values differ"
    assert not check([True, False], [True, True], "bool").passed
    # Beyond what a float64 tells apart.
    assert not check([2**60], [2**60 + 1], "int64").passed


def test_shape_and_dtype_must_be_the_same() -> None:
    y = np.zeros((2, 3), np.float32)
    found = compare("run", "y", y, y.T, 1e-5)
    assert not found.passed
    assert found.note == "received float32 (3, 2), expected float32 (2, 3)"
    found = compare("run", "y", y, y.astype(np.float64), 1e-5)
    assert found.note == "received float64 (2, 3), expected float32 (2, 3)"


def test_an_empty_output_compares_nothing() -> None:
    found = compare("run", "y", np.zeros((0, 3)), np.zeros((0, 3)), 1e-5)
    assert (found.passed, found.note) == (False, "nothing was compared: the output is empty")


def runs(*pairs: tuple[Any, Any]) -> list[Comparison]:
    return [
        Comparison(f"run {n}", {"y": np.array(e)}, {"y": np.array(r)})
        for n, (e, r) in enumerate(pairs)
    ]


@pytest.mark.parametrize(
    "value", [np.zeros((2, 3)), np.full((2, 3), 0.5), np.array([[nan, 0.5]]), np.ones((2,), bool)]
)
def test_a_constant_output_fails_as_uninformative(value: np.ndarray) -> None:
    for checks in (
        compare_all("g", runs((value, value)), ["y"], 1e-5),
        compare_all("g", runs((value, value), (value, value)), ["y"], 1e-5),
    ):
        assert all(not check.passed for check in checks)
        assert "uninformative: the expected output is one constant value" in checks[0].note


@pytest.mark.parametrize(
    "values", [([[0.0]], [[1.0]]), ([0.5, 0.5], [0.1, 0.2]), (3, 4), ([True], [False])]
)
def test_it_is_informative_if_it_differs_between_runs(values: tuple[Any, Any]) -> None:
    checks = compare_all("g", runs(*((v, v) for v in values)), ["y"], 1e-5)
    assert [check.passed for check in checks] == [True, True]


def test_uninformative_is_told_per_output() -> None:
    arrays = {"good": np.arange(3.0), "flat": np.zeros(3)}
    checks = compare_all("g", [Comparison("run", arrays, arrays)], ["good", "flat"], 1e-5)
    assert [(check.output, check.passed) for check in checks] == [("good", True), ("flat", False)]


@pytest.mark.parametrize(
    ("given", "outputs"), [([], ["y"]), (runs((np.arange(2), np.arange(2))), [])]
)
def test_comparing_nothing_is_a_failure(given: list[Comparison], outputs: list[str]) -> None:
    (found,) = compare_all("golden", given, outputs, 1e-5)
    assert (found.name, found.passed, found.note) == ("golden", False, "nothing was compared")


def test_a_missing_array_is_a_failure() -> None:
    arrays = {"y": np.arange(3.0)}
    checks = compare_all(
        "g",
        [Comparison("a", arrays, {}), Comparison("b", {}, arrays, "ValueError: no")],
        ["y"],
        1e-5,
    )
    assert [check.note for check in checks] == [
        "nothing was compared: no received array",
        "nothing was compared: ValueError: no",
    ]
    assert not any(check.passed for check in checks)


def test_constants_count_where_both_sides_are_the_same_graph() -> None:
    value = np.zeros((2, 3), np.float32)
    one = Comparison("run", {"y": value}, {"y": value})
    other = Comparison("run", {"y": value}, {"y": value + np.float32(1)})
    assert not compare_all("g", [one], ["y"], 1e-5)[0].passed
    assert compare_all("g", [one], ["y"], 1e-5, constants=True)[0].passed
    assert not compare_all("g", [other], ["y"], 1e-5, constants=True)[0].passed
