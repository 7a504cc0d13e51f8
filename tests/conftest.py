from __future__ import annotations

from pathlib import Path

import pytest

from rnnport.artifact.load import Artifact
from tests import tiny


@pytest.fixture(scope="session")
def lstm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact nobody may change."""
    return tiny.lstm_artifact(tmp_path_factory.mktemp("shared") / "lstm").path


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Two inputs and two outputs in dicts; nobody may change it."""
    return tiny.pair_artifact(tmp_path_factory.mktemp("shared") / "pair")
