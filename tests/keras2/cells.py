"""Cells of a user's own, as users write them for tf_keras."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

L = tf_keras.layers
_registered = tf_keras.utils.register_keras_serializable("rnnport_tests")


@_registered
class Minimal(L.Layer):  # type: ignore[misc]
    """A plain cell without get_initial_state."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = self.state_size = units

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, self.units), name="recurrent")

    def get_config(self) -> Any:
        return {**super().get_config(), "units": self.units}

    def call(self, x: Any, states: Any, constants: Any = None) -> Any:
        shift = 0.0 if constants is None else constants[0]
        y = tf.tanh(tf.matmul(x, self.kernel) + tf.matmul(states[0], self.recurrent) + shift)
        return y, [y]


@_registered
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
        new_a = tf.tanh(self.a(tf.concat([x, b], -1)))
        new_b = tf.sigmoid(self.b(tf.concat([x, a], -1)))
        return self.out(tf.concat([new_a, new_b], -1)), [new_a, new_b]


@_registered
class NormalisedLSTMCell(L.LSTMCell):  # type: ignore[misc]
    """A standard cell with a formula around it."""

    def build(self, shape: Any) -> None:
        super().build(shape)
        self.norm = L.LayerNormalization()
        self.norm.build((None, self.units))

    def call(self, x: Any, states: Any, training: Any = None) -> Any:
        h, (_, c) = super().call(x, states, training=training)
        h = self.norm(h)
        return h, [h, c]
