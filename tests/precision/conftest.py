from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rnnport
from rnnport.artifact.load import Artifact
from tests.precision.models import MODELS

Made = Callable[[str, str], tuple[Any, Artifact]]


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model of models.MODELS and its artifact in a precision; nobody may change either."""
    known: dict[str, Any] = {}
    artifacts: dict[tuple[str, str], Artifact] = {}
    folder = tmp_path_factory.mktemp("precision")

    def make(name: str, precision: str) -> tuple[Any, Artifact]:
        model = known[name] = known.get(name) or MODELS[name]()
        if (name, precision) not in artifacts:
            target = "cuda" if precision == "float16" else "cpu"
            out: Path = folder / f"{name}-{precision}"
            artifact = rnnport.export(model, out, target=target, precision=precision)
            artifacts[name, precision] = artifact
        return model, artifacts[name, precision]

    return make
