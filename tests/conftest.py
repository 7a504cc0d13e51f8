from __future__ import annotations

import os
from pathlib import Path

import pytest

from rnnport.artifact.load import Artifact
from rnnport.runtime.backends.web import FOLDER_VARIABLE
from tests import tiny

# Where scripts/_setup.sh puts onnxruntime-web; tests of provider "web" are skipped without it.
_WEB = Path(__file__).parents[1] / ".cache" / "web" / "node_modules"
if _WEB.is_dir():
    os.environ.setdefault(FOLDER_VARIABLE, str(_WEB))


@pytest.fixture(scope="session")
def lstm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact nobody may change."""
    return tiny.lstm_artifact(tmp_path_factory.mktemp("shared") / "lstm").path


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Two inputs and two outputs in dicts; nobody may change it."""
    return tiny.pair_artifact(tmp_path_factory.mktemp("shared") / "pair")
