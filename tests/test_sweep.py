"""Random recurrent models; `scripts/fuzz --n 500`, and `--causal`, run the long sweeps."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests import sweep

_DRAWN = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning")
@_DRAWN
@given(stack=sweep.stacks())
def test_random_models_are_equal_and_fused(stack: sweep.Stack, tmp_path: Path) -> None:
    keras.backend.clear_session()
    sweep.check(stack, tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning")
@settings(_DRAWN, max_examples=15)
@given(stack=sweep.stacks(causal=True))
def test_random_causal_models_stream(stack: sweep.Stack, tmp_path: Path) -> None:
    """Whole, random chunks and single steps agree to 1e-6."""
    keras.backend.clear_session()
    sweep.check(stack, tmp_path / "out")
