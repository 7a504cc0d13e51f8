"""`rnnport.tune`: operators first, then layouts on the graphs that won."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rnnport.artifact.load import open_artifact
from rnnport.errors import SaveFailed
from rnnport.progress import Progress
from rnnport.runtime.benchmark import check_sizes
from rnnport.runtime.crew import cores
from rnnport.runtime.layout import Layout, steps_of
from rnnport.runtime.layout_runs import LayoutRuns, named
from rnnport.runtime.precisions import provider_for
from rnnport.runtime.racing import Race, race
from rnnport.runtime.session import check_threads
from rnnport.runtime.stream_plan import STREAM
from rnnport.spec import Tuned
from rnnport.tuning.contest import NOISE, Contest
from rnnport.tuning.graphs import Graphs
from rnnport.tuning.operators import switch_operators
from rnnport.tuning.report import Kept, Trial, TuneReport
from rnnport.tuning.setting import Setting
from rnnport.tuning.sizes import BATCHES, TIMES, Point, points
from rnnport.tuning.stream import switch_stream
from rnnport.tuning.writing import check_place, copied, write_tuned

__all__ = ["tune"]


def tune(
    folder: str | os.PathLike[str],
    *,
    batch: Sequence[int] | None = None,
    time: Sequence[int] | None = None,
    threads: int | None = None,
    seconds: float = 0.3,
    out: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    race: Race = race,
) -> TuneReport:
    """As rnnport.tune; see there.

    Args:
        folder: the artifact.
        batch: sizes B.
        time: lengths T.
        threads: as load(threads=) will say.
        seconds: for each candidate and size.
        out: where the tuned artifact goes; in place of the old one where None.
        progress: told a stage and the fraction done.
        race: measures calls side by side.
    """
    check_sizes(BATCHES if batch is None else batch, TIMES if time is None else time, seconds)
    check_threads(threads)
    artifact = open_artifact(folder)
    provider_for(artifact.manifest, "cpu", "cpu")
    check_place(artifact, out)
    told = progress or (lambda stage, fraction: None)
    with _room(artifact.path) as room:
        # Whatever happens to the folder meanwhile, one and the same artifact is measured.
        kept = copied(artifact, Path(room) / "artifact")
        graphs = Graphs(kept, Path(room))
        report = TuneReport(threads or cores(), notes=graphs.notes)
        setting = Setting(kept, graphs, threads, Contest(race, seconds), told, report)
        _search(setting, batch, time)
        if report.changed:
            told("writing and verifying", 0.95)
            write_tuned(kept, graphs, report, artifact.path, out)
    return report


@contextlib.contextmanager
def _room(place: Path) -> Iterator[str]:
    """A temporary folder; what the file system refuses there comes as SaveFailed."""
    try:
        with tempfile.TemporaryDirectory() as room:
            yield room
    except OSError as error:
        raise SaveFailed.of(
            f"tuning {place}",
            error.strerror or str(error),
            "room for some copies of its graphs in the temporary folder; nothing was changed",
            "free some space, or name another temporary folder: TMPDIR",
        ) from error


def _search(setting: Setting, batches: Sequence[int] | None, times: Sequence[int] | None) -> None:
    found = points(setting.artifact, setting.runs().takes, batches, times)
    switch_operators(setting, found)
    switch_stream(setting, batches)
    _choose_layouts(setting, found, 0.6)
    report = setting.report
    lost = any(row.after_us > NOISE * row.before_us for row in report.kept)
    if "model" in setting.graphs.changed and lost:
        _undo_operators(setting)
        _choose_layouts(setting, found, 0.75)
    if STREAM in setting.graphs.changed:
        report.notes.append("stream.onnx is another graph now: older snapshots do not fit it")


def _undo_operators(setting: Setting) -> None:
    """Give up what won alone and loses together, or in the layouts that are used."""
    report = setting.report
    setting.graphs.keep("model", setting.graphs.original("model"))
    model = [one for one in report.switched if one.form == "model"]
    report.stayed.extend(model)
    report.switched[:] = [one for one in report.switched if one.form != "model"]
    report.notes.append("model.onnx: operators that won their races lost to the artifact as it was")
    report.kept.clear()
    report.tuned.clear()


def _choose_layouts(setting: Setting, found: Sequence[Point], begun: float) -> None:
    after = setting.runs()
    before = setting.before() if "model" in setting.graphs.changed else after
    present = [setting.present(point, after) for point in found]
    chosen = []
    for number, (point, now) in enumerate(zip(found, present, strict=True)):
        setting.progress(f"layout {point.title}", begun + 0.15 * number / len(found))
        kept, layout = _layout(setting, point, now, before, after)
        setting.report.kept.append(kept)
        chosen.append(layout)
    if chosen != present:
        # All of them: a point holds for its neighbours too, unless they have their own.
        triples = zip(found, setting.report.kept, chosen, strict=True)
        setting.report.tuned.extend(_tuned(p, k, one, setting.cores) for p, k, one in triples)


def _layout(
    setting: Setting, point: Point, present: Layout, before: LayoutRuns, after: LayoutRuns
) -> tuple[Kept, Layout]:
    """The layout to keep at a size: the present one, unless another is faster twice.

    And unless it then loses to the artifact as it was.
    """
    choices = setting.layouts(point, after)
    calls = {name: after.call(point.inputs, one) for name, one in choices.items()}
    name, found = setting.contest.winner(calls, named(present))
    us = {layout: seconds * 1e6 for layout, seconds in found.items()}
    setting.report.trials.extend(Trial("model", point.size, n, t) for n, t in us.items())
    was = before.call(point.inputs, setting.present(point, before))
    again = setting.contest.race({"before": was, "after": calls[name]})
    switched = "model" in setting.graphs.changed
    if name != named(present) and not switched and again["after"] > NOISE * again["before"]:
        # What is kept then is what was there before.
        name, again["after"] = named(present), again["before"]
    kept = Kept(point.size, name, again["before"] * 1e6, again["after"] * 1e6, us)
    return kept, choices[name]


def _tuned(point: Point, kept: Kept, layout: Layout, threads: int) -> Tuned:
    return Tuned(
        batch=point.sizes.get("B", 1),
        time=steps_of(point.sizes),
        threads=threads,
        parts=max(1, len(layout.parts)),
        one_thread=layout.one_thread,
        before_us=round(kept.before_us, 2),
        after_us=round(kept.after_us, 2),
    )
