"""`rnnport.tune`: whichever candidate wins, outputs stay and the artifact stays whole.

No time is measured here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import onnx_ir as ir
import pytest

import rnnport
from rnnport.artifact.manifest import MANIFEST_FILE, encode
from rnnport.runtime.layout import Layout, Spread
from rnnport.runtime.layout_runs import layouts, named
from rnnport.spec import Tuned
from rnnport.tuning.graphs import names_in
from rnnport.tuning.search import tune
from tests.tuning.artifacts import (
    FIXED_TIME,
    bytes_of,
    counts,
    decided,
    layout_wins,
    nothing_wins,
    outputs,
    quick,
    then_wins,
)

SHAPES = [(1, 1, 3), (2, 9, 3), (5, 33, 3)]


@pytest.mark.parametrize(
    ("name", "before", "after", "layer"),
    [("gru", "GRU", "Scan", "gru"), ("simple", "Scan", "RNN", "simple_rnn")],
)
def test_layers_are_switched(
    name: str, before: str, after: str, layer: str, copy: Callable[[str], Path], made: Any
) -> None:
    folder = copy(name)
    count = counts(folder)[before]
    report = tune(folder, batch=[1, 2], time=[4], threads=2, race=decided(then_wins))
    both = [one for one in report.switched if one.form == "model"]
    assert [(one.now, one.then, one.gain) for one in both] == [(before, after, 2.0)] * count
    assert any(one.form == "stream" for one in report.switched)
    for form in ("model", "stream"):
        assert counts(folder, form).get(before, 0) == 0
        assert counts(folder, form)[after] == count
    for shape in SHAPES:
        expected, received = outputs(made(name), *shape), outputs(folder, *shape)
        assert np.abs(expected - received).max() <= 1e-6 * max(1.0, np.abs(expected).max())
    manifest = rnnport.open(folder).manifest
    row = next(one for one in manifest.layers if one.name == layer)
    assert (row.lowering, row.reason) == (after, "tuned by measurement")
    # Where verify looks; what a Scan gives has another shape than what an operator gives.
    kept = {row.value} & names_in(ir.load(folder / "model.onnx"))
    assert bool(kept) is (before == "Scan")
    assert after in manifest.forms["model"].step_weights
    report = rnnport.verify(folder, provider="cpu")
    assert report.passed
    assert any(check.kind == "streaming" for check in report.checks)


def test_one_layer_of_two(copy: Callable[[str], Path]) -> None:
    """Of two candidates one wins its first race alone, and loses the second."""
    folder, races = copy("gru"), []

    def run(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
        if any(name.startswith("now") for name in calls):
            races.append(sorted(calls))
        lucky = len(races) in (1, 2, 3)
        return {n: 1e-4 if lucky and then_wins(n) else 2e-4 for n in calls}

    report = tune(folder, batch=[1], time=[4], threads=1, race=run)
    assert [(one.form, one.then) for one in report.switched] == [("model", "Scan")]
    assert counts(folder) == counts(folder) | {"GRU": 1, "Scan": 1}
    assert counts(folder, "stream")["GRU"] == 2
    assert rnnport.verify(folder, provider="cpu").passed


@pytest.mark.parametrize("layout", ["whole batch", "one thread", "2 parts"])
def test_layouts_are_written_and_used(layout: str, copy: Callable[[str], Path], made: Any) -> None:
    folder = copy("gru")
    report = tune(folder, batch=[8], time=[20], threads=2, race=decided(layout_wins(layout)))
    assert [row.layout for row in report.kept] == [layout]
    assert not report.switched
    runner = rnnport.load(folder, provider="cpu", threads=2)
    assert runner._rows is not None
    used = runner._rows.layout({runner.input_names[0]: np.zeros((9, 30, 3))})
    assert named(used) == layout
    for shape in SHAPES:
        np.testing.assert_allclose(outputs(folder, *shape), outputs(made("gru"), *shape), atol=1e-6)
    assert rnnport.verify(folder, provider="cpu").passed


def test_nothing_to_gain_leaves_the_folder_untouched(copy: Callable[[str], Path]) -> None:
    folder = copy("gru")
    before = bytes_of(folder)
    report = tune(folder, batch=[1, 3], time=[2], threads=2, race=decided(nothing_wins))
    assert not report.changed
    assert len(report.kept) == 2
    assert bytes_of(folder) == before


def test_another_folder(copy: Callable[[str], Path], tmp_path: Path) -> None:
    folder, out = copy("simple"), tmp_path / "tuned"
    before = bytes_of(folder)
    tune(folder, batch=[1], time=[4], threads=2, race=decided(then_wins), out=out)
    assert bytes_of(folder) == before
    assert counts(out)["RNN"] == 1
    assert {p.name for p in tmp_path.iterdir()} == {"simple", "tuned"}


def test_tuning_twice_adds_sizes(copy: Callable[[str], Path]) -> None:
    folder = copy("gru")
    for time in (20, 400):
        tune(folder, batch=[8], time=[time], threads=2, race=decided(layout_wins("whole batch")))
        tune(folder, batch=[8], time=[time], threads=2, race=decided(layout_wins("2 parts")))
    points = rnnport.open(folder).manifest.tuned
    assert {(p.batch, p.time, p.parts) for p in points} == {(8, 20, 2), (8, 400, 2)}


def test_tuning_again_without_gain_leaves_the_folder_untouched(copy: Callable[[str], Path]) -> None:
    folder = copy("gru")
    sizes: dict[str, Any] = {"batch": [8], "time": [20], "threads": 2}
    assert tune(folder, **sizes, race=decided(layout_wins("2 parts"))).changed
    before = bytes_of(folder)
    assert not tune(folder, **sizes, race=decided(nothing_wins)).changed
    assert not tune(folder, **sizes, race=decided(layout_wins("2 parts"))).changed
    assert bytes_of(folder) == before


def test_a_size_that_keeps_its_layout_keeps_it_beside_one_that_does_not(
    copy: Callable[[str], Path],
) -> None:
    """Both are within a factor of two of one another."""
    folder = copy("gru")
    races: list[set[str]] = []

    def run(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
        if "whole batch" in calls and len(calls) > 2:
            races.append(set(calls))
        # Parts win at the second size alone, in both of its races.
        return {n: 1e-4 if len(races) == 2 and n == "2 parts" else 2e-4 for n in calls}

    before = rnnport.load(folder, provider="cpu", threads=2)._rows
    assert before is not None
    tune(folder, batch=[8], time=[20, 30], threads=2, race=run)
    after = rnnport.load(folder, provider="cpu", threads=2)._rows
    assert after is not None
    (port,) = after._form.inputs
    x20, x30 = ({port.name: np.zeros((8, t, 3), np.float32)} for t in (20, 30))
    assert after.layout(x20) == before.layout(x20)
    assert named(after.layout(x30)) == "2 parts" != named(before.layout(x30))


def test_another_graph_forgets_what_was_measured_on_the_old_one(
    copy: Callable[[str], Path],
) -> None:
    folder = copy("gru")
    tune(folder, batch=[8], time=[400], threads=2, race=decided(layout_wins("2 parts")))
    tune(folder, batch=[1], time=[4], threads=2, race=decided(then_wins))
    assert rnnport.open(folder).manifest.tuned == []


def test_the_present_layout_takes_part(tmp_path: Path) -> None:
    """Also where it is none of the usual ones: parts of an LSTM one after the other."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.LSTM(96)], name="long")
    folder = rnnport.export(model, tmp_path / "long", target="cpu").path
    report = tune(folder, batch=[64], time=[700], threads=2, race=decided(nothing_wins))
    assert {t.candidate for t in report.trials} >= {"whole batch", "2 parts", "2 parts in turn"}
    assert [row.layout for row in report.kept] == ["2 parts in turn"]
    assert not report.changed


def test_a_model_without_recurrent_layers(copy: Callable[[str], Path]) -> None:
    report = tune(copy("dense"), batch=[4], time=[4], threads=2, race=decided(then_wins))
    assert not report.switched


def test_measured_points_hold_near_their_sizes(made: Callable[[str], Path]) -> None:
    form = rnnport.open(made("gru")).manifest.forms["model"]
    near = Tuned(batch=8, time=100, threads=2, parts=2, one_thread=True, before_us=2, after_us=1)
    far = Tuned(batch=64, time=100, threads=2, before_us=2, after_us=1)
    other = Tuned(batch=8, time=100, threads=4, parts=4, before_us=2, after_us=1)
    spread = Spread(form, 2, mixes_rows=False, tuned=[near, far, other])
    rule = Spread(form, 2, mixes_rows=False)
    cases = {(8, 100): 2, (5, 170): 2, (1, 100): 0, (8, 500): 0, (64, 60): 0, (100, 100): 0}
    for (batch, time), parts in cases.items():
        found = spread.layout({"B": batch, "T": time})
        assert len(found.parts) == parts, (batch, time)
    for batch, time in ((1, 100), (8, 500)):
        sizes = {"B": batch, "T": time}
        assert spread.layout(sizes) == rule.layout(sizes)
    mixing = Spread(form, 2, mixes_rows=True, tuned=[near])
    assert mixing.layout({"B": 8, "T": 100}) == Layout(one_thread=True)


def test_layouts_worth_a_try() -> None:
    assert [named(one) for one in layouts(32, 6, may_cut=True)] == [
        "whole batch",
        "one thread",
        "2 parts",
        "4 parts",
        "6 parts",
    ]
    assert [named(one) for one in layouts(3, 4, may_cut=True)][2:] == ["2 parts"]
    assert [named(one) for one in layouts(32, 6, may_cut=False)] == ["whole batch", "one thread"]
    assert layouts(32, 1, may_cut=True) == [Layout()]


def test_a_fixed_length(copy: Callable[[str], Path]) -> None:
    report = tune(copy("fixed"), batch=[1, 8], threads=2, race=decided(nothing_wins))
    assert [(row.size.batch, row.size.time) for row in report.kept] == [
        (1, FIXED_TIME),
        (8, FIXED_TIME),
    ]
    assert not report.changed


def test_an_operator_that_loses_at_one_size_stays(copy: Callable[[str], Path]) -> None:
    """Though it wins on the mean."""
    folder, number = copy("gru"), [0]

    def run(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
        number[0] += 1
        factor = 3.0 if number[0] % 2 else 0.9
        return {n: 1e-4 / factor if then_wins(n) else 1e-4 for n in calls}

    report = tune(folder, batch=[1, 4], time=[4], threads=1, race=run)
    assert not report.switched
    assert not report.changed
    tried = [(one.form, one.layer, one.gain) for one in report.stayed]
    gain = pytest.approx((3 * 0.9) ** 0.5)
    assert tried == [(f, n, gain) for f in ("model", "stream") for n in ("gru", "second")]


def test_the_second_race_is_between_the_two_fastest(copy: Callable[[str], Path]) -> None:
    races: list[list[str]] = []

    def run(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
        races.append(sorted(calls))
        return {n: 1e-4 if then_wins(n) else 2e-4 for n in calls}

    quick(copy("simple"), run)
    whole = ["2 parts", "one thread", "whole batch"]
    both = sorted(f"{side}, {name}" for side in ("now", "then") for name in whole)
    assert races[:2] == [both, ["now", "then"]]
    assert races[2:4] == [["now", "then"]] * 2
    assert races[4] == whole
    assert races[-1] == ["after", "before"]


def test_a_layout_that_loses_to_the_artifact_as_it_was_is_not_kept(
    copy: Callable[[str], Path],
) -> None:
    """Though it won both races before."""
    times = {"2 parts": 1e-4, "before": 2e-4, "after": 3e-4}
    report = quick(copy("gru"), lambda calls, seconds: {n: times.get(n, 2e-4) for n in calls})
    assert [(row.layout, row.before_us, row.after_us) for row in report.kept] == [
        ("one thread", 200.0, 200.0)
    ]
    assert not report.changed


def test_an_operator_alone_writes_no_layouts(copy: Callable[[str], Path]) -> None:
    folder = copy("gru")
    report = quick(folder, decided(then_wins), batch=[1, 2], time=[4])
    assert report.switched
    assert not report.tuned
    assert rnnport.open(folder).manifest.tuned == []


def test_old_layouts_stay_where_the_stream_alone_is_switched(copy: Callable[[str], Path]) -> None:
    folder = copy("gru")
    quick(folder, decided(layout_wins("2 parts")))
    before = rnnport.open(folder).manifest.tuned
    assert before

    def run(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
        stream = sorted(calls) == ["now", "then"]
        return {n: 1e-4 if stream and n == "then" else 2e-4 for n in calls}

    report = quick(folder, run)
    assert {one.form for one in report.switched} == {"stream"}
    assert rnnport.open(folder).manifest.tuned == before


def test_an_input_without_steps_may_come_first(copy: Callable[[str], Path]) -> None:
    folder = copy("side")
    report = tune(folder, batch=[2], time=[4, 9], threads=2, race=decided(then_wins))
    assert [(row.size.batch, row.size.time) for row in report.kept] == [(2, 4), (2, 9)]
    assert report.switched
    assert rnnport.verify(folder, provider="cpu").passed


def test_operators_that_lose_to_the_artifact_as_it_was_are_given_up(
    copy: Callable[[str], Path],
) -> None:
    """They won alone, each side in its best layout."""
    folder = copy("gru")

    def run(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
        return {n: 1e-4 if then_wins(n) or n == "before" else 3e-4 for n in calls}

    report = quick(folder, run)
    assert {one.form for one in report.switched} == {"stream"}
    assert [one.layer for one in report.stayed] == ["gru", "second"]
    assert counts(folder)["GRU"] == 2
    assert any("older snapshots" in note for note in report.notes)
    assert rnnport.verify(folder, provider="cpu").passed


@pytest.mark.parametrize("target", ["cuda", "openvino"])
def test_operators_of_other_targets_stay(target: str, copy: Callable[[str], Path]) -> None:
    folder = copy("gru")
    manifest = msgspec.structs.replace(rnnport.open(folder).manifest, target=target)
    (folder / MANIFEST_FILE).write_bytes(encode(manifest))
    report = quick(folder, decided(then_wins))
    assert not report.switched
    assert report.notes == [f"target {target}: operators stay, which were chosen for it"]
