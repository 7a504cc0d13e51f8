"""However races end, the artifact gives what it gave, and passes its own verification."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, given, settings

import rnnport
from rnnport.runtime.layout import sizes_of
from tests.tuning.artifacts import bytes_of, outputs, quick

SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=2, unique=True)


@given(
    name=st.sampled_from(["gru", "simple"]), batch=SIZES, time=SIZES, seed=st.integers(0, 2**32 - 1)
)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_outcome(
    made: Callable[[str], Path], name: str, batch: list[int], time: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)

    def run(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
        for call in calls.values():
            call()
        return {n: float(rng.uniform(0.5, 1) * (0.7 if n == "then" else 1)) for n in calls}

    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(made(name), Path(place) / name))
        before = bytes_of(folder)
        report = quick(folder, run, batch=batch, time=time)
        assert len(report.kept) == len(batch) * len(time)
        assert report.changed == (bytes_of(folder) != before)
        for shape in ((1, 1, 3), (7, 12, 3)):
            expected, received = outputs(made(name), *shape), outputs(folder, *shape)
            assert np.abs(expected - received).max() <= 1e-6 * max(1.0, np.abs(expected).max())
        _is_used(folder, report.tuned)
        if report.changed:
            assert rnnport.verify(folder, provider="cpu").passed


def _is_used(folder: Path, points: Any) -> None:
    """A runner runs every size in the layout that won there."""
    rows = rnnport.load(folder, provider="cpu", threads=2)._rows
    assert rows is not None
    for point in points:
        (port,) = rows._form.inputs
        inputs = {port.name: np.zeros((point.batch, point.time, 3), np.float32)}
        assert sizes_of([port], inputs) == {"B": point.batch, "T": point.time}
        layout = rows.layout(inputs)
        assert (max(1, len(layout.parts)), layout.one_thread) == (point.parts, point.one_thread)
