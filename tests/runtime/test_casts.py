from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnport.runtime.casts import Unfit, to_array, to_dtype


def cast(value: Any, dtype: str) -> np.ndarray:
    return to_dtype(to_array(value), np.dtype(dtype))


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([[1.5, 2]], "float32"),
        (np.array([1.5, np.nan, np.inf]), "float32"),
        (np.float16([1.5]), "float32"),
        ([1, -(2**24)], "float32"),
        ([True, False], "float32"),
        ([True, False], "int32"),
        ([0, 1], "bool"),
        (np.array([255], np.uint8), "int32"),
        (np.array([2**31 - 1], np.int64), "int32"),
        (np.array([1.5], ">f4"), "float32"),
        (np.asfortranarray(np.ones((3, 4), np.float32)), "float32"),
        (np.ones((4, 4), np.float32)[::2, ::2], "float32"),
        (3, "int64"),
    ],
)
def test_casts_that_lose_nothing(value: Any, dtype: str) -> None:
    found = cast(value, dtype)
    assert found.dtype == np.dtype(dtype)
    assert found.dtype.isnative
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, np.asarray(value))


def test_rounding_to_float32_is_no_loss() -> None:
    assert cast([0.1], "float32")[0] == np.float32(0.1)


@pytest.mark.parametrize(
    ("value", "dtype", "received"),
    [
        ([1.0], "int64", "float64 (1,)"),
        ([1.0], "bool", "float64 (1,)"),
        ([1e39, 0.0], "float32", "float64 (2,) with values from 0.0 to 1e+39"),
        ([2**31], "int32", "int64 (1,) with values from 2147483648 to 2147483648"),
        ([-1], "uint8", "values from -1 to -1"),
        ([2**24 + 1], "float32", "values from 16777217"),
        ([2], "bool", "values from 2 to 2"),
        ([1j], "float32", "complex128 (1,)"),
        (["a"], "float32", "<U1 (1,)"),
        ([None], "float32", "object (1,)"),
        (np.array(["2020-01-01"], "M8[D]"), "int64", "datetime64[D] (1,)"),
        ([[1], [2, 3]], "float32", "list: setting an array element with a sequence"),
    ],
)
def test_casts_that_lose_something(value: Any, dtype: str, received: str) -> None:
    with pytest.raises(Unfit) as caught:
        cast(value, dtype)
    assert received in caught.value.received
