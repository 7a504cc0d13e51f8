from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path

import pytest

from tests.keras2.proving import Prove


@pytest.fixture
def prove(tmp_path: Path) -> Prove:
    """Export, count operators, compare with the model itself and with fresh cases."""
    return Prove(tmp_path)
