"""Makes a failing model smaller for as long as it fails in the same way.

A reducer of its own over plain data, rather than Hypothesis's shrinker. That one works on the
choices behind a draw, through the flatmaps and maps that settle options, and counts any exception
as the failure sought; it has no budget in seconds, and cannot start from a case of the corpus.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import TypeVar

from tests.sweep.plain import Plain, simplest

C = TypeVar("C", bound=Plain)


def reduce(
    case: C,
    kind_of: Callable[[C], str | None],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> C:
    """The smallest case found that fails in the same way.

    Args:
        case: one that fails.
        kind_of: how a case fails; None where it does not.
        seconds: no new attempt is made after so long.
        clock: tells seconds.

    Returns:
        A case from which nothing can be taken, where there was time for it.
    """
    end = clock() + seconds
    kind, tried = kind_of(case), {case}
    while True:
        fresh = (one for one in smaller(case) if one not in tried)
        for candidate in fresh:
            if clock() >= end:
                return case
            tried.add(candidate)
            if kind_of(candidate) == kind:
                case = candidate
                break
        else:
            return case


def smaller(case: C) -> Iterator[C]:
    """Cases with less in them, those with much less first; each settled."""
    for changed in _smaller(case):
        settled = changed.settled()
        if settled != case:
            yield settled


def _smaller(case: C) -> Iterator[C]:
    names = [item.name for item in fields(case)]  # type: ignore[arg-type]
    nested = [name for name in names if isinstance(getattr(case, name), tuple)]
    for name in nested:
        yield from _fewer(case, name)
    least = {name: simplest(case, name) for name in names if name not in nested}
    changed = [name for name in least if name in case.changed()]
    for kept in (None, *changed):  # most faults need one option, or one here and one inside
        reset = {name: least[name] for name in changed if name != kept}
        yield replace(case, **reset)  # type: ignore[type-var]
    for name in nested:
        yield from _changed_inside(case, name)
    for name in changed:
        yield replace(case, **{name: least[name]})  # type: ignore[type-var]
    for name in changed:
        yield from _halved(case, name, least[name])


def _fewer(case: C, name: str) -> Iterator[C]:
    """Without some of the elements: one alone, then all but one."""
    whole = getattr(case, name)
    alone = [(one,) for one in whole]
    without = [whole[:i] + whole[i + 1 :] for i in range(len(whole))]
    for kept in (*alone, *without):
        if 0 < len(kept) < len(whole):
            yield replace(case, **{name: kept})  # type: ignore[type-var]


def _changed_inside(case: C, name: str) -> Iterator[C]:
    whole = getattr(case, name)
    for i, element in enumerate(whole):
        for other in _smaller(element):
            yield replace(case, **{name: (*whole[:i], other, *whole[i + 1 :])})  # type: ignore[type-var]


def _halved(case: C, name: str, least: object) -> Iterator[C]:
    """Whole numbers half way to the least, then one less: units and features."""
    value = getattr(case, name)
    if isinstance(least, bool) or not isinstance(least, int) or name == "seed":
        return
    for other in dict.fromkeys([(value + least) // 2, value - 1]):
        if least < other < value:
            yield replace(case, **{name: other})  # type: ignore[type-var]
