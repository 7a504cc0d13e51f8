"""One batch of requests to the streams of a pool, served in a worker thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.pool import StreamPool
from rnnport.runtime.structure import pack
from rnnport.spec import Structure

__all__ = ["BATCHED", "Kind", "Outcome", "Place", "Request", "serve"]

Arrays = dict[str, NDArray[Any]]
Kind = Literal["step", "feed", "reset", "close", "snapshot"]
# Kinds that many streams share a run for.
BATCHED: tuple[Kind, ...] = ("step", "feed")


class Place:
    """A stream's place in the pool, taken when its first request is served.

    So whoever opens a stream never waits for a batch that is running.

    Args:
        take: opens the stream in a pool and returns its id.

    Attributes:
        closed: the stream was closed, or is being closed in a batch that runs.
    """

    def __init__(self, take: Callable[[StreamPool], int]) -> None:
        self.closed = False
        self._take = take
        self._id: int | None = None

    def id(self, pool: StreamPool) -> int:
        """The stream's id; opened if it is not yet."""
        if self._id is None:
            self._id = self._take(pool)
        return self._id


@dataclass(frozen=True)
class Request:
    """What one stream wants.

    Attributes:
        place: of the stream.
        kind: what to do.
        arrays: checked inputs by name: (F…) for a step, (t, F…) for a feed, fixed for a reset.
    """

    place: Place
    kind: Kind
    arrays: Arrays


@dataclass(frozen=True)
class Outcome:
    """What became of a request: a value, or an error to be raised."""

    value: Any = None
    error: Exception | None = None


def serve(pool: StreamPool, structure: Structure, requests: Sequence[Request]) -> list[Outcome]:
    """Serve requests of streams that all differ: steps in one run, feeds in one peeling.

    Args:
        pool: where the streams are.
        structure: nesting of the outputs.
        requests: in any order.

    Returns:
        An outcome for each request; none is lost to another's error.
    """
    outcomes: dict[int, Outcome] = {}
    for kind in BATCHED:
        places = [i for i, request in enumerate(requests) if request.kind == kind]
        found = _guarded(_RUNS[kind], pool, structure, [requests[i] for i in places])
        outcomes.update(zip(places, found, strict=True))
    for i, request in enumerate(requests):
        if i not in outcomes:
            (outcomes[i],) = _guarded(_RUNS[request.kind], pool, structure, [request])
    return [outcomes[i] for i in range(len(requests))]


_Run = Callable[[StreamPool, Structure, Sequence[Request]], list[Any]]


def _guarded(
    run: _Run, pool: StreamPool, structure: Structure, requests: Sequence[Request]
) -> list[Outcome]:
    """Run requests together; where that fails, in halves, until the guilty one stands alone.

    What fails changes no state, so what is run again was not run before.
    """
    if not requests:
        return []
    try:
        return [Outcome(value) for value in run(pool, structure, requests)]
    except Exception as error:
        if len(requests) == 1:
            return [Outcome(error=error)]
    half = len(requests) // 2
    return [
        outcome
        for part in (requests[:half], requests[half:])
        for outcome in _guarded(run, pool, structure, part)
    ]


def _step(pool: StreamPool, structure: Structure, requests: Sequence[Request]) -> list[Any]:
    names = requests[0].arrays
    arrays = {name: np.stack([r.arrays[name] for r in requests]) for name in names}
    outputs = pool.step_checked(_ids(pool, requests), arrays)
    return [
        pack(structure, {name: np.array(array[i]) for name, array in outputs.items()})
        for i in range(len(requests))
    ]


def _feed(pool: StreamPool, structure: Structure, requests: Sequence[Request]) -> list[Any]:
    chunks = [request.arrays for request in requests]
    return [pack(structure, y) for y in pool.feed_checked(_ids(pool, requests), chunks)]


def _reset(pool: StreamPool, structure: Structure, requests: Sequence[Request]) -> list[Any]:
    (request,) = requests
    fixed = {name: array[None] for name, array in request.arrays.items()}
    pool.reset([request.place.id(pool)], fixed=fixed)
    return [None]


def _close(pool: StreamPool, structure: Structure, requests: Sequence[Request]) -> list[Any]:
    pool.close(requests[0].place.id(pool))
    return [None]


def _snapshot(pool: StreamPool, structure: Structure, requests: Sequence[Request]) -> list[Any]:
    return [pool.snapshot(requests[0].place.id(pool))]


def _ids(pool: StreamPool, requests: Sequence[Request]) -> NDArray[np.int64]:
    return np.array([request.place.id(pool) for request in requests], np.int64)


_RUNS: dict[Kind, _Run] = {
    "step": _step,
    "feed": _feed,
    "reset": _reset,
    "close": _close,
    "snapshot": _snapshot,
}
