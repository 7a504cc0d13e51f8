"""Random recurrent models; `scripts/fuzz --n 500`, and `--causal`, run the long sweeps.

In parts, so that several processes can share them.
"""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests import sweep, sweep_draw

pytestmark = pytest.mark.filterwarnings(
    "ignore:Layer .* was passed an input with a mask:UserWarning"
)


def check_random(folder: Path, *, examples: int, seed: int, causal: bool) -> None:
    drawn = 0

    @hypothesis.seed(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(stack=sweep_draw.stacks(causal=causal))
    def one(stack: sweep_draw.Stack) -> None:
        nonlocal drawn
        drawn += 1
        sweep.check(stack, folder)

    one()
    assert drawn == examples


@pytest.mark.parametrize("part", range(8))
def test_random_models_are_equal_and_fused(part: int, tmp_path: Path) -> None:
    """Forty of them in all."""
    check_random(tmp_path / "out", examples=5, seed=part, causal=False)


@pytest.mark.parametrize("part", range(3))
def test_random_causal_models_stream(part: int, tmp_path: Path) -> None:
    """Whole, random chunks and single steps agree to 1e-6."""
    check_random(tmp_path / "out", examples=5, seed=100 + part, causal=True)
