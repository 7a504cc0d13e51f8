from __future__ import annotations

from typing import Any, cast

import pytest

from rnnport.parity.tolerance import TOLERANCES


def test_the_table_is_that_of_the_design() -> None:
    assert dict(TOLERANCES) == {
        "numpy": 1e-6,
        "cpu": 1e-5,
        "cuda": 1e-4,
        "openvino": 1e-4,
        "web": 1e-5,
        "reference": 1e-5,
        "stream": 1e-6,
    }


def test_nobody_loosens_it_in_passing() -> None:
    with pytest.raises(TypeError):
        cast(Any, TOLERANCES)["cpu"] = 1.0
