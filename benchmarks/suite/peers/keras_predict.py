"""Keras: model.predict, the whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

from suite.peers.base import Bind, Run
from suite.subject import Array, Subject

__all__ = ["KerasPredict"]


@dataclass(frozen=True)
class KerasPredict:
    """The usual way."""

    name: str = "Keras predict"
    role: str = "peer"
    few: bool = True
    distributions: tuple[str, ...] = ("keras", "tf-keras")

    def prepare(self, subject: Subject) -> Bind:
        """Nothing to do: predict compiles at its first call."""

        def bind(arrays: list[Array]) -> Run:
            given = arrays[0] if len(arrays) == 1 else arrays
            batch = len(arrays[0])
            return lambda: subject.keras.predict(given, batch_size=batch, verbose=0)

        return bind
