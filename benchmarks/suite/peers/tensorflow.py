"""tf.function over the Keras model, plain and compiled by XLA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from suite.peers.base import Bind, Run
from suite.subject import Array, Subject

__all__ = ["TfFunction", "Xla"]


@dataclass(frozen=True)
class TfFunction:
    """One graph for all shapes; what the others' outputs are compared with."""

    name: str = "tf.function"
    role: str = "peer"
    few: bool = False
    distributions: tuple[str, ...] = ("tensorflow",)

    def prepare(self, subject: Subject) -> Bind:
        """Trace once, batch and time open where the model lets them."""
        import tensorflow as tf

        return _bind(tf.function(subject.call, input_signature=subject.signature))


@dataclass(frozen=True)
class Xla:
    """jit_compile=True, one program for each shape."""

    name: str = "XLA"
    role: str = "peer"
    few: bool = True
    distributions: tuple[str, ...] = ("tensorflow",)

    def prepare(self, subject: Subject) -> Bind:
        """Compile at the first call of each shape."""
        import tensorflow as tf

        return _bind(tf.function(subject.call, jit_compile=True))


def _bind(function: Any) -> Bind:
    import tensorflow as tf

    def bind(arrays: list[Array]) -> Run:
        tensors = [tf.constant(x) for x in arrays]
        return lambda: [y.numpy() for y in function(*tensors)]

    return bind
