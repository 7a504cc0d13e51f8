"""Request: what generate is asked for, and whether it can be meant."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnport.errors import NotGenerative, Reason, UsageError
from rnnport.runtime.decode_plan import DecodePlan

__all__ = ["Request", "check_forecaster", "check_request", "whole"]


@dataclass(frozen=True)
class Request:
    """The keywords of Runner.generate, as they were given."""

    start: Any
    stop: Any
    max_steps: Any
    min_steps: Any = 0
    beam_width: Any = 1
    length_penalty: Any = 0.0
    n_best: Any = None
    temperature: Any = None
    top_k: Any = None
    top_p: Any = None
    seed: Any = None
    logits: bool | None = None
    batch_size: Any = 1
    first_source: Any = 0

    @property
    def samples(self) -> bool:
        """Whether tokens are drawn."""
        given = (self.temperature, self.top_k, self.top_p, self.seed)
        return any(value is not None for value in given)

    @property
    def stops(self) -> tuple[int, ...]:
        """The ids that end a sequence, sorted."""
        if self.stop is None:
            return ()
        if not isinstance(self.stop, Iterable):
            return (self.stop,)
        return tuple(sorted({int(one) if whole(one) else one for one in self.stop}))


def check_request(plan: DecodePlan, request: Request) -> None:
    """Refuse what cannot be meant.

    Raises:
        NotGenerative: the decoder takes numbers that are no tokens.
        UsageError: with everything that is wrong.
    """
    if plan.width not in (None, plan.vocabulary):
        raise NotGenerative.of(
            f"{plan.name}.onnx, {plan.step.name}",
            f"{plan.width} numbers a step, and {plan.vocabulary} come out",
            "ids, or as many numbers as tokens, one-hot",
            "use runner.forecast",
        )
    checks = (_start_reasons, _stop_reasons, _length_reasons, _beam_reasons, _sampling_reasons)
    if reasons := [reason for check in checks for reason in check(plan, request)]:
        raise UsageError(*reasons)


def check_forecaster(plan: DecodePlan) -> None:
    """Refuse a decoder of tokens.

    Raises:
        NotGenerative: it takes ids.
    """
    if plan.width is None:
        subject = f"{plan.name}.onnx, {plan.step.name}"
        received, expected = f"{plan.step.dtype} ids", "numbers, (B, T, F)"
        raise NotGenerative.of(subject, received, expected, "use runner.generate")


def whole(value: Any) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _start_reasons(plan: DecodePlan, request: Request) -> Iterator[Reason]:
    start, ids = request.start, plan.known_ids
    expected = f"an id from 0 to {ids - 1}, which the decoder is fed first"
    if start is None:
        if plan.encoder is not None:
            yield Reason("start", "None", expected, "pass start=")
    elif not whole(start) or not 0 <= start < ids:
        yield Reason("start", repr(start), expected, "pass the id that sequences begin with")


def _stop_reasons(plan: DecodePlan, request: Request) -> Iterator[Reason]:
    stop, ids = request.stop, plan.vocabulary
    ones = stop if isinstance(stop, Iterable) and not isinstance(stop, str) else [stop]
    bad = [one for one in ones if not whole(one) or not 0 <= one < ids]
    if stop is not None and bad:
        expected = f"ids from 0 to {ids - 1}: the decoder's output has {ids} scores"
        remedy = "pass the id that sequences end with, several in a set, or None"
        yield Reason("stop", ", ".join(map(repr, bad)), expected, remedy)


def _length_reasons(plan: DecodePlan, request: Request) -> Iterator[Reason]:
    for name in ("max_steps", "batch_size"):
        value = getattr(request, name)
        if not whole(value) or value < 1:
            expected = "a whole number from 1 up"
            yield Reason(name, repr(value), expected, "pass a positive int")
    least, most = request.min_steps, request.max_steps
    if not whole(least) or least < 0 or (whole(most) and least > most):
        expected = f"a whole number from 0 to max_steps, {most!r}"
        yield Reason("min_steps", repr(least), expected, "leave it out")


def _beam_reasons(plan: DecodePlan, request: Request) -> Iterator[Reason]:
    width, ids = request.beam_width, plan.vocabulary
    if not whole(width) or not 1 <= width <= ids:
        expected = f"a whole number from 1 to {ids}, the size of the vocabulary"
        yield Reason("beam_width", repr(width), expected, "pass 1 for greedy search, or 4 say")
    elif width > 1 and request.samples:
        names = [n for n in ("temperature", "top_k", "top_p", "seed") if _given(request, n)]
        expected = "beam search or sampling, not both"
        received = f"{width} together with {', '.join(names)}"
        yield Reason("beam_width", received, expected, "leave out one or the other")
    elif request.n_best is not None and not (
        whole(request.n_best) and 1 <= request.n_best <= width
    ):
        expected = f"a whole number from 1 to beam_width, {width}"
        yield Reason("n_best", repr(request.n_best), expected, "pass a larger beam_width")
    if not _number(request.length_penalty):
        expected = "a finite number: 0 for none, 0.6 say for longer results"
        yield Reason("length_penalty", repr(request.length_penalty), expected, "leave it out")


def _sampling_reasons(plan: DecodePlan, request: Request) -> Iterator[Reason]:
    temperature, top_k, top_p = request.temperature, request.top_k, request.top_p
    if temperature is not None and not (_number(temperature) and temperature > 0):
        remedy = "pass 1.0 to sample as the model says; leave it out for greedy search"
        yield Reason("temperature", repr(temperature), "a number above 0", remedy)
    if top_k is not None and not (whole(top_k) and top_k >= 1):
        remedy = "leave it out to sample from the whole vocabulary"
        yield Reason("top_k", repr(top_k), "a whole number from 1 up", remedy)
    if top_p is not None and not (_number(top_p) and 0 < top_p <= 1):
        remedy = "leave it out to sample from the whole vocabulary"
        yield Reason("top_p", repr(top_p), "a number above 0, at most 1", remedy)
    if request.seed is not None and not (whole(request.seed) and request.seed >= 0):
        yield Reason("seed", repr(request.seed), "a whole number from 0 up", "pass 0 say")
    if not (whole(request.first_source) and request.first_source >= 0):
        received, remedy = repr(request.first_source), "pass how many sources came before"
        yield Reason("first_source", received, "a whole number from 0 up", remedy)


def _given(request: Request, name: str) -> bool:
    return getattr(request, name) is not None


def _number(value: Any) -> bool:
    number = isinstance(value, (int, float, np.integer, np.floating))
    return number and not isinstance(value, bool) and math.isfinite(value)
