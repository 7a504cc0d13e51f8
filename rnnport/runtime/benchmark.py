"""How fast an artifact's forms are on this machine: what `rnnport bench` measures."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rnnport.artifact.load import Artifact, open_artifact
from rnnport.errors import InputError, NotStreamable, UsageError
from rnnport.progress import Progress
from rnnport.runtime.benchmark_tasks import Call, Task, every_task
from rnnport.runtime.memory import peak_bytes, resident_bytes
from rnnport.runtime.runner import load
from rnnport.runtime.stream_checks import check_count

__all__ = ["BenchReport", "BenchRow", "Timing", "benchmark", "check_sizes"]

LOADS = 3
LEAST, MOST = 5, 2_000  # calls of one row


@dataclass(frozen=True)
class Timing:
    """Seconds of a call: median and quartiles over so many calls."""

    median: float
    low: float
    high: float
    calls: int


@dataclass(frozen=True)
class BenchRow:
    """One form at one size.

    Attributes:
        form: "run", "stream" (one step) or "generate" (greedy, or as its beams say).
        batch: B.
        time: T; None where no axis is a time.
        timing: None where the model does not take this size; note says why.
        rate: steps a second over the whole batch; for "generate" sequences a second.
        note: why there is no timing.
    """

    form: str
    batch: int
    time: int | None
    timing: Timing | None
    rate: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class BenchReport:
    """An artifact on one provider.

    Attributes:
        provider: that really ran.
        threads: asked for; None where the runtime chose.
        load: opening the folder, every hash checked, and the session, the runtime imported.
        first_run: seconds of the first run after loading, at the smallest size.
        memory: resident bytes "before" loading, "loaded", "after" all runs, and the process's
            "peak"; those that the system does not tell are left out.
        rows: in the order they were measured.
    """

    provider: str
    threads: int | None
    load: Timing
    first_run: float
    memory: dict[str, int] = field(default_factory=dict)
    rows: list[BenchRow] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; times in seconds."""
        return asdict(self)


def benchmark(
    out: str | os.PathLike[str] | Artifact,
    *,
    provider: str = "auto",
    threads: int | None = None,
    batches: Sequence[int] = (1, 8, 32),
    times: Sequence[int] = (1, 20, 100),
    seconds: float = 1.0,
    progress: Progress | None = None,
) -> BenchReport:
    """Time every form of an artifact on random inputs.

    Args:
        out: an artifact or its folder.
        provider: as rnnport.load.
        threads: as rnnport.load.
        batches: batch sizes B; where the model takes one alone, that one.
        times: lengths T for every time axis; where the model takes one alone, that one.
        seconds: for each row; 5 calls are made at least.
        progress: called with a row's name and the fraction done.

    Raises:
        UsageError: sizes or seconds that make no sense.
        ArtifactDamaged: the folder is not as rnnport wrote it.
        ProviderUnavailable: the provider cannot run here; says what is missing.
    """
    check_sizes(batches, times, seconds)
    artifact = out if isinstance(out, Artifact) else open_artifact(out)
    memory = {"before": resident_bytes()}
    runner = load(artifact, provider=provider, threads=threads)
    memory["loaded"] = resident_bytes()
    tasks = list(every_task(artifact, runner, batches, times))
    first = _first_run(tasks)
    again = _timing(lambda: load(artifact.path, provider=provider, threads=threads), 0.0, LOADS)
    rows = []
    for number, task in enumerate(tasks):
        if progress is not None:
            progress(task.title, number / len(tasks))
        rows.append(_row(task, seconds))
    memory |= {"after": resident_bytes(), "peak": peak_bytes()}
    known = {name: size for name, size in memory.items() if size is not None}
    return BenchReport(runner.provider, threads, again, first, known, rows)


def check_sizes(batches: Sequence[int], times: Sequence[int], seconds: float) -> None:
    """Refuse sizes and seconds that make no sense.

    Raises:
        UsageError: none given, below 1, or no time to measure in.
    """
    for subject, sizes in (("batch", batches), ("time", times)):
        if not sizes:
            raise UsageError.of(subject, "nothing", "sizes from 1 up", "give at least one")
        for size in sizes:
            check_count(subject, size)
    if not 0 < seconds < math.inf:
        raise UsageError.of("seconds", seconds, "a finite number above 0", "pass 1.0, say")


def _first_run(tasks: Sequence[Task]) -> float:
    """Seconds of the first run that the model takes."""
    for task in tasks:
        call = task.make()
        started = time.perf_counter()
        try:
            call()
        except InputError:
            continue
        return time.perf_counter() - started
    raise UsageError.of(
        "sizes", "none that the model takes", "a size it takes", "try longer sequences: --time 200"
    )


def _row(task: Task, seconds: float) -> BenchRow:
    try:
        call = task.make()
        call()
    except (InputError, NotStreamable) as error:
        return BenchRow(task.form, task.batch, task.time, None, note=error.reasons[0].received)
    timing = _timing(call, seconds, LEAST)
    rate = task.steps / timing.median
    return BenchRow(task.form, task.batch, task.time, timing, rate)


def _timing(call: Call, seconds: float, least: int) -> Timing:
    """Calls until they add up to so many seconds, and so many calls at least."""
    taken: list[float] = []
    while len(taken) < least or (sum(taken) < seconds and len(taken) < MOST):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    low, median, high = statistics.quantiles(taken, n=4, method="inclusive")
    return Timing(median, low, high, len(taken))
