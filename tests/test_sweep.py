"""Random recurrent models; `scripts/fuzz --n 500`, and `--causal`, run the long sweeps.

In parts, so that several processes can share them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweep.check import check
from tests.sweep.search import part

pytestmark = pytest.mark.filterwarnings(
    "ignore:Layer .* was passed an input with a mask:UserWarning"
)


def check_random(folder: Path, *, examples: int, seed: int, family: str) -> None:
    cases = part(family, examples, seed)
    assert len(cases) == examples
    for case in cases:
        check(case, folder)


@pytest.mark.parametrize("number", range(3))
def test_random_stacks_are_equal_and_fused(number: int, tmp_path: Path) -> None:
    check_random(tmp_path / "out", examples=4, seed=number, family="stacks")


@pytest.mark.parametrize("number", range(2))
def test_random_causal_stacks_stream(number: int, tmp_path: Path) -> None:
    """Whole, random chunks and single steps agree to 1e-6."""
    check_random(tmp_path / "out", examples=4, seed=100 + number, family="causal")


@pytest.mark.parametrize("number", range(2))
def test_random_pairs_are_equal_and_cut(number: int, tmp_path: Path) -> None:
    """The whole, and the encoder's half followed by the decoder's in pieces, as Keras gives it."""
    check_random(tmp_path / "out", examples=4, seed=200 + number, family="pairs")
