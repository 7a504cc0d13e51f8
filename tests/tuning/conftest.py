from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tuning import artifacts


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Artifacts by name, each exported once; nobody may change them."""
    folder, known = tmp_path_factory.mktemp("tuning"), set()

    def make(name: str) -> Path:
        if name not in known:
            artifacts.export(name, folder / name)
            known.add(name)
        return folder / name

    return make


@pytest.fixture
def copy(made: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """Likewise, to be changed."""

    def make(name: str) -> Path:
        return Path(shutil.copytree(made(name), tmp_path / name))

    return make
