"""How large an array is, as every bound of this project has it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["magnitude"]


def magnitude(array: NDArray[Any]) -> float:
    """max(1, the largest finite magnitude): what tolerances are times."""
    return max(1.0, float(np.abs(array[np.isfinite(array)]).max(initial=0.0)))
