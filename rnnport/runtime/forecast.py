"""Forecast: a decoder of numbers that goes on from what it gave, or from what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.errors import InputError, UsageError
from rnnport.runtime.decode_plan import DecodePlan
from rnnport.runtime.decode_rows import DecodeRows

__all__ = ["Feedback", "check_feedback", "first_input", "forecast"]

Array = NDArray[Any]
Feedback = Callable[[Array, int], Any]


def forecast(
    plan: DecodePlan, decoder: DecodeRows, first: Array, steps: int, feedback: Feedback | None
) -> Array:
    """Take steps.

    Args:
        plan: the decoder's.
        decoder: fed all but what comes out here.
        first: what it gave last, (B, F).
        steps: how many outputs are wanted.
        feedback: an output (B, F) and its number, from 0, to the next input (B, F'); None feeds
            outputs as they are.

    Returns:
        (B, steps, F), the first output among them.

    Raises:
        InputError: feedback gave what the decoder does not take.
    """
    outputs = np.empty((len(first), steps, first.shape[1]), first.dtype)
    outputs[:, 0] = first
    for step in range(1, steps):
        fed = outputs[:, step - 1]
        if feedback is not None:
            fed = _checked(plan, feedback(fed.copy(), step - 1), len(first), step - 1)
        outputs[:, step] = decoder.step(fed)
    return outputs


def first_input(plan: DecodePlan, start: Any, rows: int) -> Array:
    """The start, (F,) or (B, F), as (B, F).

    Raises:
        InputError: it does not fit.
    """
    expected = f"{plan.step.dtype} ({plan.width},) or ({rows}, {plan.width})"
    try:
        array = np.asarray(start, plan.step.dtype)
    except (TypeError, ValueError) as error:
        raise InputError.of("start", repr(start)[:80], expected, "pass numbers") from error
    fits = array.shape in ((plan.width,), (rows, plan.width))
    if not fits:
        remedy = "pass what the decoder is fed first, for all sources or for each"
        raise InputError.of("start", f"{array.dtype} {array.shape}", expected, remedy)
    starts: Array = np.broadcast_to(array, (rows, *array.shape[-1:]))
    return starts


def check_feedback(plan: DecodePlan, feedback: Any) -> None:
    """Refuse a decoder that cannot be fed its output as it is.

    Raises:
        UsageError: a feedback function is needed, or what was given is none.
    """
    if feedback is None and plan.width != plan.vocabulary:
        expected = f"a function from ({plan.vocabulary},) a source to ({plan.width},)"
        remedy = "pass feedback=lambda output, step: …"
        raise UsageError.of("feedback", "None", expected, remedy)
    if feedback is not None and not callable(feedback):
        expected = "a function of an output (B, F) and its number"
        raise UsageError.of("feedback", repr(feedback)[:80], expected, "pass a function, or None")


def _checked(plan: DecodePlan, fed: Any, rows: int, step: int) -> Array:
    array = np.asarray(fed)
    if array.shape != (rows, plan.width) or array.dtype.kind not in "fiub":
        expected = f"numbers ({rows}, {plan.width})"
        received = f"{array.dtype} {array.shape}"
        remedy = "return the next input for every row"
        raise InputError.of(f"feedback after step {step}", received, expected, remedy)
    return array
