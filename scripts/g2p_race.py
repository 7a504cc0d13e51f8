"""How many words a second: rnnport's generate, the published numpy loop, the usual Keras loop."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from g2p_keras_loop import CALLS, KerasLoop
from g2p_model import MAX_STEPS, Symbols, numpy_greedy
from numpy.typing import NDArray

import rnnport

if TYPE_CHECKING:
    from rnnport.artifact.load import Artifact

__all__ = ["BATCH", "OURS", "Ids", "Speed", "in_numpy", "race"]

BATCH, REPEATS = 128, 3
OURS, NUMPY = "generate, one thread", "numpy, as published"
ALONE = {OURS: 300, NUMPY: 300, **dict.fromkeys(CALLS, 4)}  # words timed one by one

Array = NDArray[Any]
Ids = list[list[int]]
Decode = Callable[[Sequence[Array]], Ids]


@dataclass(frozen=True)
class Speed:
    """One way to decode, on a part of the words where it is slow.

    Attributes:
        who: decodes.
        alone: words a second, one by one.
        together: words a second, in batches; None where it takes no batch.
        same: whether it says what numpy says.
    """

    who: str
    alone: float
    together: float | None
    same: bool


def in_numpy(weights: dict[str, Array], symbols: Symbols, letters: Sequence[Array]) -> Ids:
    """The published algorithm, one word after the other."""
    ends = {"start": symbols.start, "stop": symbols.stop}
    return [numpy_greedy(weights, ids, **ends) for ids in letters]


def race(
    artifact: Artifact,
    model: Any,
    weights: dict[str, Array],
    symbols: Symbols,
    letters: Sequence[Array],
    wanted: Ids,
) -> list[Speed]:
    """Time every way; `wanted` is what numpy says of all words."""
    ends = {"start": symbols.start, "stop": symbols.stop, "max_steps": MAX_STEPS}
    runner, loop = rnnport.load(artifact, provider="cpu", threads=1), KerasLoop(model)

    def ours(words: Sequence[Array]) -> Ids:
        return [ids.tolist() for ids in runner.generate(list(words), batch_size=BATCH, **ends)]

    def timed(who: str, decode: Decode, many: int) -> Speed:
        few = ALONE[who]
        same = decode(letters[:many]) == wanted[:many]
        same &= one_by_one(decode, letters[:few]) == wanted[:few]
        alone = few / seconds(lambda: one_by_one(decode, letters[:few]))
        together = many / seconds(lambda: decode(letters[:many])) if many else None
        return Speed(who, alone, together, same)

    return [
        timed(OURS, ours, len(letters)),
        timed(NUMPY, partial(in_numpy, weights, symbols), 0),
        *(timed(who, partial(loop.greedy, call=c, **ends), BATCH) for who, c in CALLS.items()),
    ]


def one_by_one(decode: Decode, letters: Sequence[Array]) -> Ids:
    return [decode([word])[0] for word in letters]


def seconds(call: Callable[[], Any]) -> float:
    """The median of some calls."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
