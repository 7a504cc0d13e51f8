"""Cells of a user's own, as users write them, for tests."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

L = keras.layers


@keras.saving.register_keras_serializable("rnnport_tests")
class Minimal(L.Layer):  # type: ignore[misc]
    """The cell of Keras's own documentation."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = self.state_size = units

    def get_config(self) -> Any:
        return {**super().get_config(), "units": self.units}

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, self.units), name="recurrent")

    def call(self, x: Any, states: Any) -> Any:
        output = ops.tanh(ops.matmul(x, self.kernel) + ops.matmul(states[0], self.recurrent))
        return output, [output]


@keras.saving.register_keras_serializable("rnnport_tests")
class TwoStates(L.Layer):  # type: ignore[misc]
    """States of unlike sizes, and an output that is neither of them."""

    def __init__(self, first: int, second: int, **options: Any) -> None:
        super().__init__(**options)
        self.sizes = {"first": first, "second": second}
        self.state_size, self.output_size = [first, second], 3
        self.a, self.b, self.out = L.Dense(first), L.Dense(second), L.Dense(3)

    def build(self, shape: Any) -> None:
        first, second = self.state_size
        self.a.build((None, shape[-1] + second))
        self.b.build((None, shape[-1] + first))
        self.out.build((None, first + second))

    def get_config(self) -> Any:
        return {**super().get_config(), **self.sizes}

    def call(self, x: Any, states: Any) -> Any:
        a, b = states
        new_a = ops.tanh(self.a(ops.concatenate([x, b], -1)))
        new_b = ops.sigmoid(self.b(ops.concatenate([x, a], -1)))
        return self.out(ops.concatenate([new_a, new_b], -1)), [new_a, new_b]


@keras.saving.register_keras_serializable("rnnport_tests")
class Grid(L.Layer):  # type: ignore[misc]
    """One state (B, 3, 4), of more than one axis."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.state_size = self.output_size = 12
        self.inward, self.mix = L.Dense(12), L.Dense(4)

    def build(self, shape: Any) -> None:
        self.inward.build(shape)
        self.mix.build((None, 3, 4))

    def get_initial_state(self, batch_size: Any = None) -> Any:
        return [ops.zeros((batch_size, 3, 4))]

    def call(self, x: Any, states: Any) -> Any:
        fresh = ops.reshape(self.inward(x), (-1, 3, 4))
        grid = ops.tanh(fresh + self.mix(states[0]))
        return ops.reshape(grid, (-1, 12)), [grid]


class Residual(L.Layer):  # type: ignore[misc]
    """A standard cell inside, its input added to its output."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.inner = L.LSTMCell(units)
        self.state_size, self.output_size = self.inner.state_size, units

    def build(self, shape: Any) -> None:
        self.inner.build(shape)

    def call(self, x: Any, states: Any) -> Any:
        y, states = self.inner(x, states)
        return x + y, states


@keras.saving.register_keras_serializable("rnnport_tests")
class NormalisedLSTMCell(L.LSTMCell):  # type: ignore[misc]
    """A standard cell with a formula around it."""

    def build(self, shape: Any) -> None:
        super().build(shape)
        self.norm = L.LayerNormalization()
        self.norm.build((None, self.units))

    def call(self, x: Any, states: Any, training: bool = False) -> Any:
        h, (_, c) = super().call(x, states, training=training)
        h = self.norm(h)
        return h, [h, c]


class Dropping(Minimal):
    """Dropout in the cell: nothing at inference."""

    def call(self, x: Any, states: Any, training: bool = False) -> Any:
        if training:
            x = keras.random.dropout(x, 0.5)
        return super().call(x, states)


class Nested(L.Layer):  # type: ignore[misc]
    """A step that runs a whole layer of another custom cell over what it remembers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.state_size = self.output_size = 6
        self.inner = L.RNN(Minimal(6))
        self.dense = L.Dense(6)

    def build(self, shape: Any) -> None:
        self.dense.build(shape)
        self.inner.build((None, 2, 6))

    def call(self, x: Any, states: Any) -> Any:
        pair = ops.stack([self.dense(x), states[0]], axis=1)
        y = self.inner(pair)
        return y, [y]


class AttentionCell(L.Layer):  # type: ignore[misc]
    """A GRU cell that looks at a memory with its last state before every step."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.inner = L.GRUCell(units)
        self.state_size = self.output_size = units
        self.query = L.Dense(units)
        self.memory: Any = None

    def build(self, shape: Any) -> None:
        self.query.build((None, self.state_size))
        self.inner.build((None, shape[-1] + self.state_size))

    def call(self, x: Any, states: Any) -> Any:
        query = ops.expand_dims(self.query(states[0]), 1)  # (B, 1, U)
        scores = ops.sum(query * self.memory, -1)  # (B, S)
        read = ops.sum(ops.expand_dims(ops.softmax(scores), -1) * self.memory, 1)
        return self.inner(ops.concatenate([x, read], -1), states)


class AttentiveDecoder(keras.Model):  # type: ignore[misc]
    """Encoder, then a decoder whose cell attends."""

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.embed_source, self.embed_target = L.Embedding(source, 5), L.Embedding(target, 5)
        self.encoder = L.GRU(6, return_sequences=True, return_state=True, name="enc")
        self.cell = AttentionCell(6)
        self.decoder = L.RNN(self.cell, return_sequences=True, name="dec")
        self.head = L.Dense(target)

    def call(self, inputs: Any) -> Any:
        source, target = inputs
        memory, state = self.encoder(self.embed_source(source))
        self.cell.memory = memory
        y = self.decoder(self.embed_target(target), initial_state=[state])
        self.cell.memory = None
        return self.head(y)


class Noisy(Minimal):
    """Draws random numbers at inference."""

    def call(self, x: Any, states: Any) -> Any:
        return super().call(x + tf.random.normal(tf.shape(x)), states)


class Counting(Minimal):
    """Counts its steps in Python."""

    steps = 0

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(units, **options)
        self.steps = 1

    def call(self, x: Any, states: Any) -> Any:
        self.steps += 1
        return super().call(x * float(self.steps), states)


class Writing(Minimal):
    """Writes a variable in every step."""

    def build(self, shape: Any) -> None:
        super().build(shape)
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def call(self, x: Any, states: Any) -> Any:
        self.seen.assign_add(1.0)
        return super().call(x, states)


class Growing(Minimal):
    """Gives a state unlike the one it takes."""

    def call(self, x: Any, states: Any) -> Any:
        y, (h,) = super().call(x, states)
        return y, [ops.concatenate([h, h], -1)]


class Leaking(Minimal):
    """Leaves what it computes within a step where the model can find it."""

    def call(self, x: Any, states: Any) -> Any:
        y, states = super().call(x, states)
        self.inside = y * 2.0
        return y, states
