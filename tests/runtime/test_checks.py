from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnport.errors import InputError
from rnnport.runtime.checks import check_inputs, describe
from rnnport.spec import FixedAxis, Port
from tests.tiny import IDS, LEFT, X


def message(ports: list[Port], given: dict[str, Any], **more: Any) -> str:
    with pytest.raises(InputError) as caught:
        check_inputs(ports, given, **more)
    return str(caught.value)


def zeros(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.zeros(shape, dtype)


def test_arrays_that_fit_pass_through_uncopied() -> None:
    x = zeros(2, 5, 3)
    assert check_inputs([X], {"x": x})["x"] is x or check_inputs([X], {"x": x})["x"].base is x


def test_nan_and_infinity_pass_through() -> None:
    x = zeros(2, 5, 3)
    x[0, 0] = [np.nan, np.inf, -np.inf]
    np.testing.assert_array_equal(check_inputs([X], {"x": x})["x"], x)


def test_wrong_name() -> None:
    assert message([X], {"z": zeros(2, 5, 3)}) == (
        "input 'x' | received: nothing | expected: float32 (B, T, 3) | "
        "remedy: pass it, by position or by name\n"
        "input 'z' | received: an unknown name | expected: inputs named 'x' | "
        "remedy: use one of these names"
    )


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((5, 3), "add the batch axis: x[None]"),
        ((1, 2, 5, 3), "drop the first axis: x[0]"),
        ((5, 4), "pass an array of 3 axes"),
        ((), "pass an array of 3 axes"),
        ((3,), "pass an array of 3 axes"),
    ],
)
def test_wrong_rank(shape: tuple[int, ...], remedy: str) -> None:
    assert message([X], {"x": zeros(*shape)}) == (
        f"input 'x' | received: float32 {shape} | expected: float32 (B, T, 3) | remedy: {remedy}"
    )


def test_a_missing_feature_axis() -> None:
    port = Port(name="x", dtype="float32", shape=["B", "T", 1])
    assert "add the feature axis: x[..., None]" in message([port], {"x": zeros(2, 5)})
    assert "add the batch axis: x[None]" in message([port], {"x": zeros(5, 1)})


def test_wrong_feature_size() -> None:
    assert message([X], {"x": zeros(2, 5, 4)}) == (
        "input 'x' | received: float32 (2, 5, 4) | expected: float32 (B, T, 3) | "
        "remedy: give axis 2 size 3"
    )


def test_a_fixed_axis_names_its_layer() -> None:
    port = Port(name="x", dtype="float32", shape=["B", 28, 3])
    fixed = FixedAxis(input="x", axis=1, size=28, layer="flatten", reason="it joins the axes")
    assert message([port], {"x": zeros(2, 5, 3)}, fixed_axes=[fixed]).endswith(
        "remedy: give axis 1 size 28 (fixed by layer 'flatten': it joins the axes)"
    )


def test_wrong_dtype() -> None:
    assert message([IDS], {"ids": zeros(2, 5)}) == (
        "input 'ids' | received: float32 (2, 5) | expected: int64 (B, T) | "
        "remedy: cast it yourself: x.astype('int64')"
    )
    assert message([X], {"x": np.zeros((2, 5, 3), complex)}) == (
        "input 'x' | received: complex128 (2, 5, 3) | expected: float32 (B, T, 3) | "
        "remedy: pass an array of numbers"
    )


@pytest.mark.parametrize(
    ("shape", "axis"), [((0, 5, 3), "0 (B)"), ((2, 0, 3), "1 (T)"), ((0, 0, 3), "0 (B)")]
)
def test_batch_0_and_time_0(shape: tuple[int, ...], axis: str) -> None:
    assert message([X], {"x": zeros(*shape)}) == (
        f"input 'x' | received: float32 {shape} | expected: float32 (B, T, 3) | "
        f"remedy: leave it out: axis {axis} is empty"
    )


def test_one_letter_one_size() -> None:
    given = {"left": zeros(2, 5, 2), "ids": zeros(2, 6, dtype="int64")}
    assert message([LEFT, IDS], given) == (
        "input 'ids', axis 1 | received: size 6 in int64 (2, 6) | "
        "expected: size 5, as axis 1 of 'left': both are T | remedy: give both the same T"
    )


def test_everything_wrong_is_in_one_error() -> None:
    given = {"left": zeros(2, 5), "ids": [["a"]], "more": 1}
    with pytest.raises(InputError) as caught:
        check_inputs([LEFT, IDS], given)
    subjects = [reason.subject for reason in caught.value.reasons]
    assert subjects == ["input 'more'", "input 'left'", "input 'ids'"]


def test_describe_writes_one_axis_as_a_tuple() -> None:
    assert describe(Port(name="s", dtype="bool", shape=["B"])) == "bool (B,)"
