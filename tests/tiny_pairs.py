"""Encoders and decoders as people keep them: two models, run one after the other."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.tiny_keras import lively

L = keras.layers
SOURCE, TARGET, UNITS = 20, 30, 6
Pair = tuple[Any, Any]


def ids(name: str, length: int | None = None) -> Any:
    return keras.Input((length,), dtype="int32", name=name)


def embedded(tokens: Any, size: int, *, mask: bool = False) -> Any:
    return L.Embedding(size, 5, mask_zero=mask)(tokens)


def loud(model: Any, seed: int) -> Any:
    """Random weights, large enough that greedy search says different things of different rows."""
    lively(model, seed)
    for weight in model.trainable_weights:
        weight.assign(2.0 * weight)
    return model


def tutorial(kind: str = "LSTM", *, mask: bool = False) -> Pair:
    """(a) The inference models of the Keras tutorial, on the layers of the training model."""
    source, target = ids("source"), ids("target")
    make = getattr(L, kind)
    _, *states = make(UNITS, return_state=True)(embedded(source, SOURCE, mask=mask))
    embedding = L.Embedding(TARGET, 5)
    decoder = make(UNITS, return_sequences=True, return_state=True)
    dense = L.Dense(TARGET, activation="softmax")
    y, *_ = decoder(embedding(target), initial_state=states)
    loud(keras.Model([source, target], dense(y)), 5)
    starts = [keras.Input((UNITS,), name=f"state_{name}") for name in "hc"[: len(states)]]
    y, *following = decoder(embedding(target), initial_state=starts)
    return keras.Model(source, states), keras.Model([target, *starts], [dense(y), *following])


class Encoder(keras.Model):  # type: ignore[misc]
    """source (B, S) to memory (B, S, U) and hidden (B, U)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = L.Embedding(SOURCE, 5, mask_zero=True)
        self.gru = L.GRU(UNITS, return_sequences=True, return_state=True)

    def call(self, x: Any) -> Any:
        return self.gru(self.embedding(x))


class Bahdanau(keras.Model):  # type: ignore[misc]
    """(b) x (B, 1), hidden, memory to logits (B, V), hidden and attention weights."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = L.Embedding(TARGET, 5)
        self.gru = L.GRU(UNITS, return_sequences=True, return_state=True)
        self.head = L.Dense(TARGET)
        self.w1, self.w2, self.v = L.Dense(7), L.Dense(7), L.Dense(1)

    def call(self, x: Any, hidden: Any, enc_output: Any) -> Any:
        score = self.v(tf.nn.tanh(self.w1(hidden[:, None]) + self.w2(enc_output)))
        weights = tf.nn.softmax(score, axis=1)
        context = tf.reduce_sum(weights * enc_output, axis=1)
        x = tf.concat([tf.expand_dims(context, 1), self.embedding(x)], axis=-1)
        output, state = self.gru(x, initial_state=hidden)
        output = tf.reshape(output, (-1, output.shape[2]))
        return self.head(output), state, weights


def bahdanau() -> Pair:
    encoder, decoder = Encoder(), Bahdanau()
    memory, hidden = encoder(np.ones((2, 4), "int32"))
    decoder(np.ones((2, 1), "int32"), hidden, memory)
    return loud(encoder, 5), loud(decoder, 7)


def signature(length: int | None = 1) -> dict[str, Any]:
    """Keras records the first of Bahdanau's three arguments."""
    return {
        "decoder": [
            tf.TensorSpec([None, length], tf.int32),
            tf.TensorSpec([None, UNITS]),
            tf.TensorSpec([None, None, UNITS]),
        ]
    }


def stacked() -> Pair:
    """(c) Two layers, four states of one shape."""
    source, target = ids("source"), ids("target")
    x, states = embedded(source, SOURCE, mask=True), []
    for _ in range(2):
        x, *last = L.LSTM(UNITS, return_sequences=True, return_state=True)(x)
        states += last
    starts = [keras.Input((UNITS,), name=f"{s}{i}_in") for i in range(2) for s in "hc"]
    y, following = embedded(target, TARGET), []
    for i in range(2):
        layer = L.LSTM(UNITS, return_sequences=True, return_state=True)
        y, *last = layer(y, initial_state=starts[2 * i : 2 * i + 2])
        following += last
    encoder = keras.Model(source, states)
    decoder = keras.Model([target, *starts], [L.Dense(TARGET)(y), *following])
    return loud(encoder, 6), loud(decoder, 8)


def additive() -> Pair:
    """GRU and AdditiveAttention over a memory with a mask, one step; (d) everything in dicts."""
    source, token = ids("source"), ids("token", 1)
    memory, h = L.GRU(UNITS, return_sequences=True, return_state=True)(
        embedded(source, SOURCE, mask=True)
    )
    valid = L.Lambda(lambda x: x != 0)(source)
    encoder = keras.Model(source, {"memory": memory, "valid": valid, "state": {"h": h}})
    held = keras.Input((None, UNITS), name="memory")
    seen = keras.Input((None,), dtype="bool", name="valid")
    before = keras.Input((UNITS,), name="h")
    query = L.Reshape((1, UNITS))(before)
    context = L.AdditiveAttention()([query, held], mask=[None, seen])
    x = L.Concatenate()([embedded(token, TARGET), context])
    y, after = L.GRU(UNITS, return_sequences=True, return_state=True)(x, initial_state=before)
    decoder = keras.Model(
        {"token": token, "memory": held, "valid": seen, "state": {"h": before}},
        {"logits": L.Dense(TARGET)(y), "state": {"h": after}},
    )
    return loud(encoder, 9), loud(decoder, 10)


class Listed(keras.Model):  # type: ignore[misc]
    """(d) token, then [[h, c], [h, c]] to logits and the same nest."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = L.Embedding(TARGET, 5), L.Dense(TARGET)
        self.layers_ = [L.LSTM(UNITS, return_sequences=True, return_state=True) for _ in range(2)]

    def call(self, inputs: Any) -> Any:
        tokens, states = inputs
        y, following = self.embedding(tokens), []
        for layer, start in zip(self.layers_, states, strict=True):
            y, *last = layer(y, initial_state=start)
            following.append(last)
        return self.head(y), following


def listed() -> Pair:
    encoder, _ = stacked()
    decoder = Listed()
    zeros = np.zeros((2, UNITS), "float32")
    decoder([np.ones((2, 3), "int32"), [[zeros, zeros], [zeros, zeros]]])
    return encoder, loud(decoder, 11)


def sequential() -> Pair:
    """A Sequential encoder, one state."""
    encoder = keras.Sequential([L.Embedding(SOURCE, 5, mask_zero=True), L.GRU(UNITS)])
    encoder.build((None, None))
    target, start = ids("target"), keras.Input((UNITS,), name="h")
    y, h = L.GRU(UNITS, return_sequences=True, return_state=True)(
        embedded(target, TARGET, mask=True), initial_state=start
    )
    return loud(encoder, 12), loud(keras.Model([target, start], [L.Dense(TARGET)(y), h]), 13)


def forecaster() -> Pair:
    """Numbers, not ids: the decoder takes one step, (B, F), by a cell called by hand."""
    past, value = keras.Input((None, 3), name="past"), keras.Input((2,), name="value")
    start = keras.Input((UNITS,), name="h")
    h, _ = L.GRUCell(UNITS)(value, start)
    encoder = keras.Model(past, L.GRU(UNITS)(past))
    return lively(encoder, 14), lively(keras.Model([value, start], [L.Dense(2)(h), h]), 15)
