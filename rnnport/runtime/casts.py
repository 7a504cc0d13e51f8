"""Turn what a caller hands over into an array of a port's dtype, losing nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Unfit", "to_array", "to_dtype"]


class Unfit(Exception):
    """Why a value does not fit: what was received, and what to do."""

    def __init__(self, received: str, remedy: str) -> None:
        self.received, self.remedy = received, remedy
        super().__init__(received)


def to_array(value: Any) -> NDArray[Any]:
    """Make an array of anything array-like, numbers only.

    Raises:
        Unfit: no array can be made of it, or one of strings or objects.
    """
    try:
        array = np.asarray(value)
    except Exception as error:
        # Tensors of other libraries raise what they like here.
        line = (str(error).splitlines() or [""])[0]
        received = f"{type(value).__name__}: {line}"
        raise Unfit(received, "pass a NumPy array; pad rows to one length") from error
    if array.dtype.kind not in "biuf":
        raise Unfit(f"{array.dtype} {array.shape}", "pass an array of numbers")
    return array


def to_dtype(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Cast where no value is lost: float to float, whole numbers where they fit.

    Rounding from float64 to float32 is not counted as a loss; running out of range is.

    Args:
        array: kind bool, int, unsigned or float; any shape, no axis of size 0.
        dtype: the port's.

    Returns:
        A C-contiguous array in the machine's byte order.

    Raises:
        Unfit: the cast would lose something.
    """
    if array.dtype.kind != dtype.kind or array.dtype.itemsize > dtype.itemsize:
        _check_cast(array, dtype)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=dtype).reshape(array.shape)


def _check_cast(array: NDArray[Any], dtype: np.dtype[Any]) -> None:
    received = f"{array.dtype} {array.shape}"
    if array.dtype.kind == "f" and dtype.kind != "f":
        raise Unfit(received, f"cast it yourself: x.astype({dtype.name!r})")
    if not _range_fits(array, dtype):
        low, high = array.min(), array.max()
        raise Unfit(f"{received} with values from {low} to {high}", f"keep values in {dtype}")


def _range_fits(array: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    if array.dtype.kind == "b":
        return True
    if array.dtype.kind == "f":
        finite = array[np.isfinite(array)]
        return not finite.size or bool(np.abs(finite).max() <= np.finfo(dtype).max)
    low, high = int(array.min()), int(array.max())
    if dtype.kind == "b":
        return low >= 0 and high <= 1
    if dtype.kind == "f":
        # Above this a float no longer holds every whole number.
        limit = 2 ** (np.finfo(dtype).nmant + 1)
        return bool(-limit <= low and high <= limit)
    limits = np.iinfo(dtype)
    return bool(limits.min <= low and high <= limits.max)
