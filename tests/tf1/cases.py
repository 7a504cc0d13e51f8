"""What a TensorFlow 1 model under test is: a builder, its signature, sizes to try it at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

X = tf.TensorSpec([None, None, 100], tf.float32)
SMALL = tf.TensorSpec([None, None, 6], tf.float32)
N = tf.TensorSpec([None], tf.int32)


@dataclass(frozen=True)
class Case:
    """A builder, its signature, and shapes of inputs that export did not use."""

    build: Callable[..., Any]
    signature: list[Any] = field(default_factory=lambda: [SMALL])
    sizes: tuple[tuple[int, int], ...] = ((3, 13), (1, 2), (7, 31))
    lengths: tuple[tuple[int, ...], ...] = ()


CASES: dict[str, Case] = {}

KEPT = {"probability": 1.0}
"""What dropout wrappers keep: all where the session answers, half where rnnport exports."""


def case(*signature: Any, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def keep(build: Callable[..., Any]) -> Callable[..., Any]:
        given = list(signature) or [SMALL]
        CASES[build.__name__] = Case(build, given, **options)
        return build

    return keep


def arrays(one: Case, batch: int, time: int, rng: np.random.Generator) -> list[Any]:
    """Fresh inputs; lengths run over 0 to the whole, as far as there are rows."""
    given = []
    for spec in one.signature:
        if spec.dtype == tf.int32 and len(spec.shape) == 3:
            given.append(rng.integers(0, 8, (batch, time, spec.shape[-1])).astype(np.int32))
            continue
        if spec.dtype == tf.int32:
            lengths = rng.integers(0, time + 1, batch)
            lengths[: min(2, batch)] = [time, 0][: min(2, batch)]
            given.append(lengths.astype(np.int32))
            continue
        middle = [time] if len(spec.shape) == 3 else []
        shape = (batch, *middle, spec.shape[-1])
        given.append(rng.standard_normal(shape).astype(np.float32))
    return given
