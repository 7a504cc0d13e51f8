"""Cells of TensorFlow 1 that are refused; prints what each is refused for, as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import tensorflow as tf

import rnnport
from rnnport.errors import RnnportError

v1 = tf.compat.v1


class Plain(v1.nn.rnn_cell.RNNCell):  # type: ignore[misc]
    """h' = tanh([x, h] W)"""

    state_size = output_size = 4

    def call(self, x: Any, h: Any) -> Any:
        w = v1.get_variable("w", [int(x.shape[1]) + 4, 4])
        h = tf.tanh(tf.concat([x, h], 1) @ w)
        return h, h


class Noisy(Plain):
    def call(self, x: Any, h: Any) -> Any:
        y, h = super().call(x, h)
        return y + tf.random.normal(tf.shape(y)), h


class Writing(Plain):
    def call(self, x: Any, h: Any) -> Any:
        seen = v1.get_variable("seen", [], trainable=False)
        with tf.control_dependencies([v1.assign_add(seen, 1.0)]):
            return super().call(x, h)


class Counting(Plain):
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def call(self, x: Any, h: Any) -> Any:
        self.steps += 1
        return super().call(x, h)


class Growing(Plain):
    def call(self, x: Any, h: Any) -> Any:
        y, h = super().call(x, h)
        return y, tf.concat([h, h], 1)


class Two(Plain):
    def call(self, x: Any, h: Any) -> Any:
        y, h = super().call(x, h)
        return y, (h, h)


def refusal(cell: type[Any], static: bool) -> list[tuple[str, str, str, str]]:
    """Reasons; empty where it is not refused."""

    def model(x: Any) -> Any:
        if static:
            return v1.nn.static_rnn(cell(), tf.unstack(x, axis=1), dtype=tf.float32)[0][-1]
        return v1.nn.dynamic_rnn(cell(), x, dtype=tf.float32)

    signature = [tf.TensorSpec([None, 5 if static else None, 3], tf.float32)]
    try:
        rnnport.export(model, sys.argv[1], input_signature=signature)
    except RnnportError as error:
        return [(r.subject, r.received, r.expected, r.remedy) for r in error.reasons]
    return []


if __name__ == "__main__":
    tried = [(c, False) for c in (Noisy, Writing, Counting, Growing, Two)] + [(Growing, True)]
    print(json.dumps([refusal(*one) for one in tried]))
