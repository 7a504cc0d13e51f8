"""Measures candidates on this machine and keeps the best: what `rnnport tune` does."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rnnport.artifact.load import Artifact, open_artifact
from rnnport.artifact.save import check_target
from rnnport.errors import UsageError
from rnnport.retuning import Graphs, Variant
from rnnport.runtime.benchmark import check_sizes
from rnnport.runtime.benchmark_tasks import run_sizes
from rnnport.runtime.crew import cores
from rnnport.runtime.layout import Layout, Spread, sizes_of, steps_of
from rnnport.runtime.layout_runs import LayoutRuns, layouts, named
from rnnport.runtime.racing import Race, race
from rnnport.runtime.session import check_threads
from rnnport.samples import draw
from rnnport.spec import Port, Tuned
from rnnport.tuning_report import Kept, Size, Switched, Trial, TuneReport
from rnnport.tuning_stream import step_calls
from rnnport.tuning_writing import write_tuned

__all__ = ["tune"]

# A candidate must be faster by more than this, twice.
NOISE = 1.03

Progress = Callable[[str, float], None]
Arrays = Mapping[str, NDArray[Any]]


def tune(
    folder: str | os.PathLike[str],
    *,
    batch: Sequence[int] = (1, 8, 32),
    time: Sequence[int] = (1, 20, 100),
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
        threads: to use; as many as there are processors where None.
        seconds: for each candidate and size.
        out: where the tuned artifact goes; in place of the old one where None.
        progress: told a stage and the fraction done.
        race: measures calls side by side.
    """
    check_sizes(batch, time, seconds)
    check_threads(threads)
    artifact = open_artifact(folder)
    if out is not None:
        check_target(out)
    told = progress or (lambda stage, fraction: None)
    with tempfile.TemporaryDirectory() as room:
        work = _Tuning(
            artifact, Graphs(artifact, Path(room)), threads or cores(), seconds, race, told
        )
        report = work.run(batch, time)
        if report.changed:
            told("writing and verifying", 0.95)
            write_tuned(artifact, work.graphs, report, out)
    return report


@dataclass(frozen=True, eq=False)
class _Point:
    """Inputs of one size.

    Attributes:
        size: in words of the user.
        sizes: as a runner sees it, by axis letter; axes of one size have none.
    """

    size: Size
    inputs: Arrays
    sizes: Mapping[str, int]

    @property
    def title(self) -> str:
        return f"{self.size.batch}×{self.size.time}"


@dataclass(eq=False)
class _Tuning:
    """One tuning; `graphs` holds the best graphs so far."""

    artifact: Artifact
    graphs: Graphs
    threads: int
    seconds: float
    race: Race
    progress: Progress
    trials: list[Trial] = field(default_factory=list)

    def run(self, batches: Sequence[int], times: Sequence[int]) -> TuneReport:
        report = TuneReport(self.threads, self.trials, notes=list(self.graphs.notes))
        points = self._points(batches, times)
        report.switched.extend(self._switch_model(points))
        report.switched.extend(self._switch_stream(batches))
        before = LayoutRuns.of(self.artifact, "model", self.threads)
        after = self._runs()
        facts = self.artifact.manifest
        spread = Spread(
            facts.forms["model"], self.threads, mixes_rows=facts.mixes_rows, tuned=facts.tuned
        )
        present = [spread.layout(point.sizes) for point in points]
        chosen: list[Layout] = []
        for number, (point, now) in enumerate(zip(points, present, strict=True)):
            self.progress(f"layout {point.title}", 0.6 + 0.3 * number / len(points))
            kept, layout = self._layout(point, now, before, after)
            report.kept.append(kept)
            chosen.append(layout)
        if chosen != present or self.graphs.changed:
            # All of them: a point holds for its neighbours too, unless they have their own.
            triples = zip(points, report.kept, chosen, strict=True)
            report.tuned.extend(_tuned(p, k, layout, self.threads) for p, k, layout in triples)
        return report

    def _points(self, batches: Sequence[int], times: Sequence[int]) -> list[_Point]:
        """Every size the model takes, with inputs."""
        ports = self.artifact.manifest.forms["model"].inputs
        runs, found, seen = self._runs(), [], set()
        for _, _, sizes in run_sizes(self.artifact, batches, times):
            inputs = draw(ports, sizes)
            point = _Point(_size(ports[0], inputs), inputs, sizes_of(ports, inputs))
            if point.size not in seen and runs.takes(point.inputs):
                found.append(point)
            seen.add(point.size)
        if not found:
            expected, remedy = "a size the model takes", "try longer sequences: --time 200"
            raise UsageError.of("sizes", "none that the model takes", expected, remedy)
        return found

    def _runs(self, variant: Variant | None = None) -> LayoutRuns:
        facts = self.artifact.manifest
        chosen = variant or self.graphs.best("model")
        return LayoutRuns(chosen.path, chosen.form, self.threads, mixes_rows=facts.mixes_rows)

    def _switch_model(self, points: Sequence[_Point]) -> Iterator[Switched]:
        candidates = self.graphs.switches("model")
        for number, wish in enumerate(candidates):
            self.progress(f"{wish.layer}: {wish.then}", 0.4 * number / len(candidates))
            variant = self.graphs.switched("model", wish)
            if variant is None:
                continue
            now, then = self._runs(), self._runs(variant)
            gain = min(self._gain(points, now, then, wish.then) for _ in range(2))
            if gain > NOISE:
                self.graphs.keep("model", variant)
                yield Switched("model", wish.layer, wish.now, wish.then, gain)

    def _gain(
        self, points: Sequence[_Point], now: LayoutRuns, then: LayoutRuns, label: str
    ) -> float:
        """Geometric mean of time over time, each in its best layout."""
        ratios = []
        for point in points:
            calls = {}
            for side, runs in (("now", now), ("then", then)):
                for layout in self._layouts(point, runs):
                    calls[f"{side}, {named(layout)}"] = runs.call(point.inputs, layout)
            found = self.race(calls, self.seconds)
            best = [min(t for name, t in found.items() if name.startswith(s)) for s in _SIDES]
            self.trials.append(Trial("model", point.size, label, best[1] * 1e6))
            ratios.append(best[0] / best[1])
        return _mean(ratios)

    def _layouts(self, point: _Point, runs: LayoutRuns) -> list[Layout]:
        may_cut = runs.spread.may_cut and runs.foresees_outputs(point.inputs)
        return layouts(point.size.batch, self.threads, may_cut=may_cut)

    def _switch_stream(self, batches: Sequence[int]) -> Iterator[Switched]:
        candidates = self.graphs.switches("stream")
        for number, wish in enumerate(candidates):
            self.progress(
                f"stream, {wish.layer}: {wish.then}", 0.4 + 0.2 * number / len(candidates)
            )
            variant = self.graphs.switched("stream", wish)
            if variant is None:
                continue
            gain = min(self._stream_gain(batches, variant, wish.then) for _ in range(2))
            if gain > NOISE:
                self.graphs.keep("stream", variant)
                yield Switched("stream", wish.layer, wish.now, wish.then, gain)

    def _stream_gain(self, batches: Sequence[int], variant: Variant, label: str) -> float:
        ratios = []
        manifest = self.artifact.manifest
        sides = {"now": self.graphs.best("stream"), "then": variant}
        for batch, calls in step_calls(manifest, sides, batches):
            found = self.race(calls, self.seconds)
            self.trials.append(Trial("stream", Size(batch, 1), label, found["then"] * 1e6))
            ratios.append(found["now"] / found["then"])
        return _mean(ratios)

    def _layout(
        self, point: _Point, present: Layout, before: LayoutRuns, after: LayoutRuns
    ) -> tuple[Kept, Layout]:
        """The layout to keep at a size: the present one, unless another is faster twice."""
        choices = {named(one): one for one in (*self._layouts(point, after), present)}
        calls = {name: after.call(point.inputs, one) for name, one in choices.items()}
        found = self.race(calls, self.seconds)
        for name, seconds in found.items():
            self.trials.append(Trial("model", point.size, name, seconds * 1e6))
        now, fastest = named(present), min(found, key=found.__getitem__)
        if fastest != now and not self._twice(found, calls, now, fastest):
            fastest = now
        was = before.call(point.inputs, present)
        again = self.race({"before": was, "after": calls[fastest]}, self.seconds)
        us = [again[side] * 1e6 for side in ("before", "after")]
        return Kept(point.size, fastest, *us), choices[fastest]

    def _twice(
        self, found: Mapping[str, float], calls: Mapping[str, Any], now: str, other: str
    ) -> bool:
        """Whether another layout is faster than the present one, in the race and in a second."""
        if found[now] <= NOISE * found[other]:
            return False
        again = self.race({name: calls[name] for name in (now, other)}, self.seconds)
        return again[now] > NOISE * again[other]


_SIDES = ("now", "then")


def _mean(ratios: Sequence[float]) -> float:
    """The geometric mean; 1 of nothing."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else 1.0


def _size(port: Port, inputs: Arrays) -> Size:
    """Of the first input, whose T may be fixed."""
    shape = inputs[port.name].shape
    sizes = sizes_of([port], inputs)
    fixed_time = len(shape) > 2 and isinstance(port.shape[1], int)
    return Size(shape[0], shape[1] if fixed_time else steps_of(sizes))


def _tuned(point: _Point, kept: Kept, layout: Layout, threads: int) -> Tuned:
    return Tuned(
        batch=point.sizes.get("B", 1),
        time=steps_of(point.sizes),
        threads=threads,
        parts=max(1, len(layout.parts)),
        one_thread=layout.one_thread,
        before_us=round(kept.before_us, 2),
        after_us=round(kept.after_us, 2),
    )
