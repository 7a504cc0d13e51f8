"""Forty random recurrent models; `scripts/fuzz --n 500` runs the long sweep."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests import sweep


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning")
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(stack=sweep.stacks())
def test_random_models_are_equal_and_fused(stack: sweep.Stack, tmp_path: Path) -> None:
    keras.backend.clear_session()
    sweep.check(stack, tmp_path / "out")
