"""No switched graph may drift from what the artifact gave at first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnport
from rnnport.runtime.stream_plan import STREAM, StreamPlan
from rnnport.tuning import graphs as graphs_module
from rnnport.tuning import stream
from rnnport.tuning.graphs import Graphs, Variant, same
from tests.tuning.artifacts import decided, export, quick, then_wins

Made = Callable[[str], Path]


def test_differences_do_not_add_up(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each switch by little, both by more than is allowed of what was there at first."""
    folder = made("gru")

    def run_form(path: Path, form: Any) -> Callable[[Any], dict[str, Any]]:
        steps = 0 if path.parent == folder else int(path.parent.name)
        return lambda inputs: {"y": np.full(3, steps * 0.7e-6, np.float32)}

    monkeypatch.setattr(graphs_module, "run_form", run_form)
    tried = Graphs(rnnport.open(folder), tmp_path)
    first, second = tried.switches("model")
    variant = tried.switched("model", first)
    assert variant is not None
    tried.keep("model", variant)
    assert tried.switched("model", second) is None
    assert tried.notes == ["second as Scan: outputs differ by more than 1e-06"]


def variant_of(folder: Path) -> tuple[StreamPlan, Variant]:
    artifact = rnnport.open(folder)
    plan = StreamPlan.of(artifact.manifest)
    return plan, Variant(artifact.forms[STREAM], artifact.manifest.forms[STREAM])


@pytest.mark.parametrize("batch", [1, 3])
def test_steps_are_compared(batch: int, made: Made, tmp_path: Path) -> None:
    plan, one = variant_of(made("gru"))
    _, other = variant_of(export("gru", tmp_path / "other", seed=4))
    assert stream._same_steps(plan, one, one, {"B": batch})
    assert not stream._same_steps(plan, one, other, {"B": batch})


def test_a_stream_that_differs_stays(
    copy: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, other = variant_of(export("gru", tmp_path / "other", seed=4))
    switched = Graphs.switched

    def wrong(self: Graphs, name: str, wish: Any) -> Variant | None:
        return other if name == STREAM else switched(self, name, wish)

    monkeypatch.setattr(Graphs, "switched", wrong)
    report = quick(copy("gru"), decided(then_wins))
    assert {one.form for one in report.switched} == {"model"}
    assert report.notes == [
        f"stream, {name} as Scan: outputs differ by more than 1e-06" for name in ("gru", "second")
    ]


def test_what_counts_as_the_same() -> None:
    one = {"y": np.array([1.0, -2.0], np.float32), "n": np.array([3])}
    close = {"y": one["y"] + np.float32(1e-6), "n": one["n"]}
    assert same(one, close)
    others: list[dict[str, Any]] = [
        {"y": one["y"]},
        {**one, "y": one["y"] + np.float32(5e-6)},
        {**one, "y": one["y"].astype(np.float64)},
        {**one, "y": one["y"][:1]},
        {**one, "y": np.array([1.0, np.nan], np.float32)},
        {**one, "n": np.array([4])},
    ]
    for other in others:
        assert not same(one, other)
    lost = {"y": np.array([np.nan, np.inf], np.float32)}
    assert same(lost, lost)
