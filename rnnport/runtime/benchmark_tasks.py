"""What `rnnport bench` times: every form at every size, as calls to come."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnport.artifact.golden import GOLDEN_FILE, read_golden
from rnnport.artifact.load import Artifact
from rnnport.runtime.runner import Runner
from rnnport.runtime.stepper import Stepper
from rnnport.runtime.stream_plan import STREAM, StreamPlan
from rnnport.samples import draw
from rnnport.spec import Port

__all__ = ["Call", "Task", "every_task", "run_sizes", "step_sizes", "stepping"]

Call = Callable[[], Any]


@dataclass(frozen=True)
class Task:
    """One row to come; make gives its call, and may refuse."""

    form: str
    batch: int
    time: int | None
    make: Callable[[], Call]

    @property
    def steps(self) -> int:
        """What one call brings forward, over the whole batch."""
        return self.batch * ((self.time or 1) if self.form == "run" else 1)

    @property
    def title(self) -> str:
        """The form and its size, as progress tells them."""
        size = f"×{self.time}" if self.time and self.form != STREAM else ""
        return f"{self.form} {self.batch}{size}"


def every_task(
    artifact: Artifact, runner: Runner, batches: Sequence[int], times: Sequence[int]
) -> Iterator[Task]:
    """Runs at each size the model takes, then steps, then generation.

    Args:
        artifact: whose forms are timed.
        runner: loaded from it.
        batches: wishes for B.
        times: wishes for T.
    """
    ports = artifact.manifest.forms["model"].inputs
    for batch, length, sizes in run_sizes(artifact, batches, times):
        yield Task("run", batch, length, _running(runner, ports, sizes))
    if STREAM in artifact.manifest.forms:
        yield from _stream_tasks(artifact, runner, batches)
    if artifact.manifest.generate is not None:
        yield from _generate_tasks(artifact, runner, batches, times)


def run_sizes(
    artifact: Artifact, batches: Sequence[int], times: Sequence[int]
) -> Iterator[tuple[int, int | None, dict[str, int]]]:
    """B, T (None where no axis is a time) and all letters' sizes, for every size the model takes.

    Args:
        artifact: whose form "model" is meant.
        batches: wishes for B.
        times: wishes for T.
    """
    ports = artifact.manifest.forms["model"].inputs
    others = _other_sizes(artifact, ports)
    letters = _time_letters(ports)
    for batch in _batches(ports, batches):
        for length in times if letters else [_length(ports)]:
            yield batch, length, {**others, **_sizes(letters, batch, length)}


def step_sizes(artifact: Artifact, plan: StreamPlan, batch: int) -> dict[str, int]:
    """Sizes of axes of one step: B, T = 1, and others as the first golden sample has them."""
    letters = _letters((*plan.steps, *plan.fixed)) - {"B", "T"}
    others = _golden_sizes(artifact, (*plan.chunks, *plan.fixed), letters)
    return {**others, "B": batch, "T": 1}


def stepping(stepper: Stepper, steps: Mapping[str, Any]) -> Call:
    """A step with these arrays (B, F…), over and over."""
    if len(steps) == 1:
        (x,) = steps.values()
        return lambda: stepper.step(x)
    return lambda: stepper.step(**steps)


def _running(runner: Runner, ports: Sequence[Port], sizes: Mapping[str, int]) -> Callable[[], Call]:
    def make() -> Call:
        arrays = draw(ports, sizes)
        return lambda: runner.run_named(arrays)

    return make


def _stream_tasks(artifact: Artifact, runner: Runner, batches: Sequence[int]) -> Iterator[Task]:
    plan = StreamPlan.of(artifact.manifest)

    def making(batch: int) -> Callable[[], Call]:
        def make() -> Call:
            sizes = step_sizes(artifact, plan, batch)
            fixed = draw(plan.fixed, sizes) if plan.fixed else None
            stepper = runner.stepper(batch, fixed=fixed)
            return stepping(stepper, draw(plan.steps, sizes))

        return make

    for batch in batches if plan.batch is None else [plan.batch]:
        yield Task(STREAM, batch, 1, making(batch))


def _generate_tasks(
    artifact: Artifact,
    runner: Runner,
    batches: Sequence[int],
    times: Sequence[int],
) -> Iterator[Task]:
    wish = artifact.manifest.generate
    encoder = artifact.manifest.forms.get("encoder")
    if wish is None or encoder is None:
        return
    letters = _time_letters(encoder.inputs)
    others = _other_sizes(artifact, encoder.inputs)

    def making(sizes: Mapping[str, int]) -> Callable[[], Call]:
        def make() -> Call:
            arrays = draw(encoder.inputs, sizes)
            source = dict(arrays) if len(arrays) > 1 else next(iter(arrays.values()))
            return lambda: runner.generate(
                source,
                start=wish.start,
                stop=wish.stops,
                max_steps=wish.max_steps,
                beam_width=wish.beam_width,
                length_penalty=wish.length_penalty,
                output=wish.output,
            )

        return make

    for batch in _batches(encoder.inputs, batches):
        length = max(times)
        yield Task("generate", batch, length, making({**others, **_sizes(letters, batch, length)}))


def _time_letters(ports: Sequence[Port]) -> set[str]:
    """Letters of time axes: those called T, and any that stands right behind the batch."""
    behind = {str(p.shape[1]) for p in ports if len(p.shape) > 1 and isinstance(p.shape[1], str)}
    named = {a for p in ports for a in p.shape if isinstance(a, str) and a.startswith("T")}
    return behind | named


def _sizes(letters: Collection[str], batch: int, length: int | None) -> dict[str, int]:
    """B, and the same length for every time axis."""
    return {**{letter: length for letter in letters if length}, "B": batch}


def _batches(ports: Sequence[Port], wanted: Sequence[int]) -> Sequence[int]:
    fixed = [port.shape[0] for port in ports if port.shape and isinstance(port.shape[0], int)]
    return [int(fixed[0])] if fixed else wanted


def _length(ports: Sequence[Port]) -> int | None:
    """The one length that the model takes, where its inputs look like sequences."""
    sizes = [port.shape[1] for port in ports if len(port.shape) > 2 or _ids(port)]
    return next((size for size in sizes if isinstance(size, int)), None)


def _ids(port: Port) -> bool:
    return len(port.shape) == 2 and port.is_ids


def _other_sizes(artifact: Artifact, ports: Sequence[Port]) -> dict[str, int]:
    """Sizes of axes that are neither batch nor time, as the first golden sample has them."""
    return _golden_sizes(artifact, ports, _letters(ports) - _time_letters(ports) - {"B"})


def _letters(ports: Iterable[Port]) -> set[str]:
    return {axis for port in ports for axis in port.shape if isinstance(axis, str)}


def _golden_sizes(
    artifact: Artifact, ports: Sequence[Port], letters: Collection[str]
) -> dict[str, int]:
    """Sizes of these axes, as the first golden sample has them."""
    if not letters:
        return {}
    sample = read_golden(artifact.path / GOLDEN_FILE)[0].inputs
    return {
        axis: sample[port.name].shape[place]
        for port in ports
        for place, axis in enumerate(port.shape)
        if isinstance(axis, str) and axis in letters
    }
