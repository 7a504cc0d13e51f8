from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def legacy(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, with TensorFlow 1's cells."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    told = {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        env={**os.environ, **told, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every model of tests.tf1.write, exported by one process, and the session's answers.

    Processes of one pytest-xdist run share it; the first to come makes it.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / "tf1_models"
    with (base / "tf1_models.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            folder.mkdir()
            done = legacy("-m", "tests.tf1.write", str(folder))
            assert done.returncode == 0, done.stderr[-4000:]
    return folder
