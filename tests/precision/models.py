"""Models large enough that there is something to save."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tests.tiny_keras import lively
from tests.tiny_pairs import loud

L = keras.layers
FEATURES = 36


def _sequential(*layers: Any, features: int = FEATURES) -> Any:
    return lively(keras.Sequential([keras.Input((None, features)), *layers]))


def lstm() -> Any:
    return _sequential(L.LSTM(256, return_sequences=True), L.Dense(5, "softmax"), features=128)


def masked() -> Any:
    return _sequential(
        L.Masking(-1.0), L.LSTM(96, return_sequences=True), L.LSTM(72, return_sequences=True)
    )


def stacked() -> Any:
    cells = L.StackedRNNCells([L.LSTMCell(96), L.LSTMCell(72)])
    return _sequential(L.RNN(cells, return_sequences=True), L.Dense(1, "sigmoid"))


def bidirectional() -> Any:
    tokens = keras.Input((None,), dtype="int32")
    y = L.Embedding(100, 32, mask_zero=True)(tokens)
    y = L.Bidirectional(L.LSTM(80, return_sequences=True))(y)
    return lively(keras.Model(tokens, L.Dense(3)(L.Bidirectional(L.GRU(40))(y))))


def mixed() -> Any:
    return _sequential(
        L.Masking(-1.0), L.GRU(48, return_sequences=True), L.LSTM(96), L.Dense(4, "softmax")
    )


def gru() -> Any:
    return _sequential(L.Masking(-1.0), L.GRU(64, return_sequences=True), L.Dense(4, "softmax"))


def simple() -> Any:
    return _sequential(L.SimpleRNN(64, return_sequences=True), L.SimpleRNN(40))


def translator() -> Any:
    source, target = (keras.Input((None,), dtype="int32", name=n) for n in ("source", "target"))
    embedded = L.Embedding(60, 32, mask_zero=True)(source)
    _, *states = L.LSTM(80, return_state=True)(embedded)
    decoder = L.LSTM(80, return_sequences=True)
    y = decoder(L.Embedding(70, 32)(target), initial_state=states)
    return loud(keras.Model([source, target], L.Dense(70, "softmax")(y)), 5)


MODELS: dict[str, Callable[[], Any]] = {
    one.__name__: one for one in (lstm, masked, stacked, bidirectional, mixed, gru, simple)
}
