"""The usual way to decode in Keras: two inference models, one call a step.

They are made of the training model's layers by hand, as Keras's own seq2seq tutorial does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CALLS", "KerasLoop", "padded"]

Array = NDArray[Any]
Call = Callable[[Any, Any], Any]


def _called(model: Any, x: Any) -> Any:
    import keras

    return model(keras.tree.map_structure(keras.ops.convert_to_tensor, x))


def _predicted(model: Any, x: Any) -> Any:
    return model.predict(x, verbose=0)


CALLS: dict[str, Call] = {"Keras, model(x)": _called, "Keras, predict": _predicted}


class KerasLoop:
    """Greedy decoding of a model that g2p_model.rebuild made."""

    def __init__(self, model: Any) -> None:
        import keras

        decoder, logits = model.get_layer("decoder"), model.get_layer("logits")
        letters, phonemes = model.inputs
        before = keras.Input((decoder.units,), name="before")
        y, after = decoder(model.get_layer("phoneme").output, initial_state=before)
        self._encoder = keras.Model(letters, model.get_layer("encoder").output[1])
        self._decoder = keras.Model([phonemes, before], [logits(y), after])

    def greedy(
        self, letters: Sequence[Array], call: Call, *, start: int, stop: int, max_steps: int
    ) -> list[list[int]]:
        """The ids of every source, decoded together until all have stopped."""
        tokens, state = np.full((len(letters), 1), start), call(self._encoder, padded(letters))
        steps, running = [], np.ones(len(letters), bool)
        while running.any() and len(steps) < max_steps:
            logits, state = call(self._decoder, [tokens, state])
            tokens = np.asarray(logits).argmax(-1)  # (B, 1)
            running &= tokens[:, 0] != stop
            steps.append(np.where(running, tokens[:, 0], stop))
        return [[int(i) for i in row if i != stop] for row in np.stack(steps, axis=1)]


def padded(rows: Sequence[Any]) -> Array:
    """One array (B, S) of ids, short rows followed by zeros."""
    whole = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for row, ids in zip(whole, rows, strict=True):
        row[: len(ids)] = ids
    return whole
