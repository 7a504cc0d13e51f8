"""The fixture `assert_parity`, there wherever rnnport is installed beside pytest.

Loading it imports neither TensorFlow nor onnxruntime; only a test that calls the fixture does.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rnnport.artifact.load import Artifact

__all__ = ["assert_parity"]


@pytest.fixture(name="assert_parity")
def assert_parity(tmp_path: Path) -> Callable[..., Artifact]:
    """rnnport.testing.assert_parity, the artifact and report.html kept in the test's tmp_path.

    Takes the same arguments; a second call in one test writes artifact-2 and report-2.html.
    """
    calls = count(1)

    def check(model: Any, **options: Any) -> Artifact:
        from rnnport import testing

        number = next(calls)
        suffix = f"-{number}" if number > 1 else ""
        options.setdefault("report", tmp_path / f"report{suffix}.html")
        if options.get("artifact") is None:
            options.setdefault("keep", tmp_path / f"artifact{suffix}")
        return testing.assert_parity(model, **options)

    return check
