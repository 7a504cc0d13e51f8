"""Which layers of stream.onnx step faster on another operator, over all batch sizes together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rnnport.errors import NotStreamable
from rnnport.runtime.benchmark_tasks import step_sizes, stepping
from rnnport.runtime.stepper import Stepper
from rnnport.runtime.stream_plan import STREAM, StreamPlan
from rnnport.runtime.stream_session import StreamSessions
from rnnport.runtime.structure import bind
from rnnport.samples import draw
from rnnport.tuning.contest import better, mean
from rnnport.tuning.graphs import Variant, differs, same
from rnnport.tuning.report import Size, Trial
from rnnport.tuning.setting import Setting
from rnnport.tuning.sizes import BATCHES

__all__ = ["switch_stream"]

Sizes = Mapping[str, int]

_CHECKED_STEPS = 4


def switch_stream(setting: Setting, batches: Sequence[int] | None) -> None:
    """Try every layer in turn; what is faster is the graph that the next is tried in."""
    graphs = setting.graphs
    candidates = graphs.switches(STREAM)
    if not candidates:
        return
    try:
        plan = StreamPlan.of(setting.artifact.manifest)
    except NotStreamable as error:
        graphs.notes.append(f"stream.onnx stays as it is: {error.reasons[0].received}")
        return
    wanted = batches or BATCHES if plan.batch is None else [plan.batch]
    sizes = partial(step_sizes, setting.artifact, plan)
    for number, wish in enumerate(candidates):
        setting.progress(f"stream, {wish.layer}: {wish.then}", 0.4 + 0.2 * number / len(candidates))
        variant = graphs.switched(STREAM, wish)
        if variant is None:
            continue
        if not _same_steps(plan, graphs.original(STREAM), variant, sizes(wanted[0])):
            graphs.notes.append(differs(f"stream, {wish.layer}", wish.then))
            graphs.drop(variant)
            continue
        won, gain = _gain(setting, plan, variant, [sizes(b) for b in wanted], wish.then)
        setting.settle(STREAM, wish, variant, gain, won=won)


def _gain(
    setting: Setting, plan: StreamPlan, variant: Variant, wanted: Sequence[Sizes], label: str
) -> tuple[bool, float]:
    """Whether the candidate wins both races, and by how much."""
    sides = {"now": setting.graphs.best(STREAM), "then": variant}
    races = []
    for sizes in wanted:
        steps = draw(plan.steps, sizes)
        steppers = {n: _stepper(plan, v, sizes, setting.threads) for n, v in sides.items()}
        races.append({name: stepping(stepper, steps) for name, stepper in steppers.items()})
    gains: list[float] = []
    for _ in range(2):
        ratios = []
        for sizes, calls in zip(wanted, races, strict=True):
            found = setting.contest.race(calls)
            us = found["then"] * 1e6
            setting.report.trials.append(Trial(STREAM, Size(sizes["B"], 1), label, us))
            ratios.append(found["now"] / found["then"])
        gains.append(mean(ratios))
        if not better(ratios):
            return False, min(gains)
    return True, min(gains)


def _stepper(plan: StreamPlan, variant: Variant, sizes: Sizes, threads: int | None) -> Stepper:
    fixed = draw(plan.fixed, sizes) if plan.fixed else None
    return Stepper(StreamSessions(variant.path, plan, "cpu", threads), sizes["B"], fixed)


def _same_steps(plan: StreamPlan, one: Variant, other: Variant, sizes: Sizes) -> bool:
    """Whether both give the same states and outputs, step by step."""
    steppers = [_stepper(plan, variant, sizes, 1) for variant in (one, other)]
    for seed in range(_CHECKED_STEPS):
        steps = draw(plan.steps, sizes, seed=seed)
        expected, received = (_stepped(plan, stepper, steps) for stepper in steppers)
        if not same(expected, received):
            return False
    return True


def _stepped(plan: StreamPlan, stepper: Stepper, steps: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs of a step by name, and the states after it."""
    outputs = bind(plan.outputs, plan.output_structure, [stepping(stepper, steps)()], {})
    return {**outputs, **{f"state {name}": array for name, array in stepper.state.items()}}
