"""Steps of a stream, for measuring variants of stream.onnx side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rnnport.retuning import Variant
from rnnport.runtime.stepper import Stepper
from rnnport.runtime.stream_plan import StreamPlan
from rnnport.runtime.stream_session import StreamSessions
from rnnport.samples import draw
from rnnport.spec import Manifest

__all__ = ["step_calls"]

Calls = dict[str, Callable[[], Any]]


def step_calls(
    manifest: Manifest, sides: Mapping[str, Variant], batches: Sequence[int]
) -> Iterator[tuple[int, Calls]]:
    """For each batch size the stream takes, a step of every variant.

    Args:
        manifest: with a stream form.
        sides: variants of it by name.
        batches: wishes for B.
    """
    plan = StreamPlan.of(manifest)
    for batch in batches if plan.batch is None else [plan.batch]:
        steps = draw(plan.steps, {"B": batch})
        fixed = draw(plan.fixed, {"B": batch}) if plan.fixed else None
        calls: Calls = {}
        for name, variant in sides.items():
            stepper = Stepper(StreamSessions(variant.path, plan, "cpu", None), batch, fixed)
            calls[name] = _stepping(stepper, steps)
        yield batch, calls


def _stepping(stepper: Stepper, steps: Mapping[str, Any]) -> Callable[[], Any]:
    if len(steps) == 1:
        (x,) = steps.values()
        return lambda: stepper.step(x)
    return lambda: stepper.step(**steps)
