"""What `rnnport.Generate` asks for: checked and made plain, without any slow import."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Set
from typing import Any

import numpy as np

from rnnport.errors import Reason, UsageError
from rnnport.spec import Generate

__all__ = ["check_wish"]

_MOST = int(np.iinfo(np.int64).max)


def check_wish(wish: Any) -> Generate:
    """The same in Python's own numbers; refuses what no model could do.

    Args:
        wish: its numbers may be NumPy's, its stops any collection of whole numbers.

    Raises:
        UsageError: tokens, steps, width or penalty that make no sense; lists all of them.
    """
    if not isinstance(wish, Generate):
        received = type(wish).__name__
        remedy = "pass rnnport.Generate(start=…, stop=…, max_steps=…)"
        raise UsageError.of("generate", received, "rnnport.Generate", remedy)
    given: Any = wish.stop
    several = isinstance(given, Iterable) and not isinstance(given, (str, bytes))
    several = several and getattr(given, "ndim", 1) > 0
    stops = [*given] if several else [given]
    if reasons := list(_reasons(wish, stops)):
        raise UsageError(*reasons)
    plain = [int(stop) for stop in stops]
    if isinstance(given, Set):
        plain.sort()
    return Generate(
        start=int(wish.start),
        stop=plain if several else plain[0],
        max_steps=int(wish.max_steps),
        beam_width=int(wish.beam_width),
        length_penalty=float(wish.length_penalty),
        output=wish.output,
    )


def _reasons(wish: Generate, stops: list[Any]) -> Iterator[Reason]:
    for name, token in [("start", wish.start), *(("stop", stop) for stop in stops)]:
        if not _whole(token, 0):
            expected, remedy = "a whole number from 0 up", "name a token of the vocabulary"
            yield Reason("generate", f"{name} {token!r}", expected, remedy)
    if not stops:
        yield Reason("generate", "no stop", "a token that ends a row", "name one")
    for name, remedy in (("max_steps", "pass a positive int"), ("beam_width", "1 is greedy")):
        value = getattr(wish, name)
        if not _whole(value, 1):
            expected = "a whole number from 1 up"
            yield Reason("generate", f"{name} {value!r}", expected, remedy)
    if not _finite(wish.length_penalty):
        received, expected = f"length_penalty {wish.length_penalty!r}", "a finite number"
        yield Reason("generate", received, expected, "leave it out")
    output: Any = wish.output
    if not isinstance(output, str):
        expected, remedy = "the name of an output", "leave it out"
        yield Reason("generate", f"output {output!r}", expected, remedy)


def _whole(value: Any, least: int) -> bool:
    """Whether a value is a whole number that ONNX's int64 holds too."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and least <= value <= _MOST


def _finite(value: Any) -> bool:
    number = isinstance(value, (int, float, np.integer, np.floating))
    try:
        return number and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an int beyond every float
        return False
