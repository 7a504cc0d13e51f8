"""TensorFlow 1 models of the mission table: builders of cells rnnport has a formula for."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tests.tf1.cases import SMALL, N, X, case

v1 = tf.compat.v1
nn = v1.nn
cells = v1.nn.rnn_cell


@case(tf.TensorSpec([None, 6, 100], tf.float32), sizes=((5, 6), (2, 6)))
def t1_basic_rnn_by_hand(x: Any) -> Any:
    cell = cells.BasicRNNCell(200)
    state = cell.zero_state(tf.shape(x)[0], tf.float32)
    outputs = []
    for t in range(6):
        y, state = cell(x[:, t], state)
        outputs.append(y)
    return tf.stack(outputs, axis=1), state


@case(X)
def t1_basic_rnn(x: Any) -> Any:
    return nn.dynamic_rnn(cells.BasicRNNCell(200), x, dtype=tf.float32)


@case(X)
def t1_time_major(x: Any) -> Any:
    y, s = nn.dynamic_rnn(
        cells.BasicRNNCell(200), tf.transpose(x, [1, 0, 2]), time_major=True, dtype=tf.float32
    )
    return tf.transpose(y, [1, 0, 2]), s


@case(X, tf.TensorSpec([None, 200], tf.float32))
def t1_initial_state(x: Any, h: Any) -> Any:
    return nn.dynamic_rnn(cells.BasicRNNCell(200), x, initial_state=h)


@case(X)
def t2_basic_lstm(x: Any) -> Any:
    return nn.dynamic_rnn(cells.BasicLSTMCell(50, forget_bias=2.5), x, dtype=tf.float32)


@case(SMALL, tf.TensorSpec([None, 9], tf.float32), tf.TensorSpec([None, 9], tf.float32))
def t2_state_tuple_in(x: Any, c: Any, h: Any) -> Any:
    start = cells.LSTMStateTuple(c, h)
    y, (c, h) = nn.dynamic_rnn(cells.BasicLSTMCell(9), x, initial_state=start)
    return {"y": y, "c": c, "h": h}


@case(SMALL)
def t2_concatenated_state(x: Any) -> Any:
    return nn.dynamic_rnn(cells.LSTMCell(9, state_is_tuple=False), x, dtype=tf.float32)


@case(SMALL)
def t2_peepholes(x: Any) -> Any:
    return nn.dynamic_rnn(cells.LSTMCell(9, use_peepholes=True), x, dtype=tf.float32)


@case(SMALL, N)
def t2_peepholes_lengths(x: Any, n: Any) -> Any:
    return nn.dynamic_rnn(
        cells.LSTMCell(9, use_peepholes=True), x, sequence_length=n, dtype=tf.float32
    )


@case(SMALL, N)
def t2_peepholes_scanned(x: Any, n: Any) -> Any:
    """Of an activation no fused operator computes."""
    cell = cells.LSTMCell(9, use_peepholes=True, activation=tf.nn.gelu)
    return nn.dynamic_rnn(cell, x, sequence_length=n, dtype=tf.float32)


@case(SMALL)
def t2_peepholes_bidirectional(x: Any) -> Any:
    fw, bw = (cells.LSTMCell(7, use_peepholes=True) for _ in range(2))
    return nn.bidirectional_dynamic_rnn(fw, bw, x, dtype=tf.float32)


@case(SMALL)
def t2_peepholes_one_sided(x: Any) -> Any:
    fw, bw = cells.LSTMCell(7, use_peepholes=True), cells.LSTMCell(7)
    return nn.bidirectional_dynamic_rnn(fw, bw, x, dtype=tf.float32)


@case(SMALL)
def t3_gru(x: Any) -> Any:
    return nn.dynamic_rnn(cells.GRUCell(30), x, dtype=tf.float32)


@case(SMALL, N)
def t3_gru_lengths(x: Any, n: Any) -> Any:
    cell = cells.GRUCell(8, activation=tf.nn.relu)
    return nn.dynamic_rnn(cell, x, sequence_length=n, dtype=tf.float32)


@case(X)
def t4_two_lstm(x: Any) -> Any:
    cell = cells.MultiRNNCell([cells.LSTMCell(100) for _ in range(2)])
    return nn.dynamic_rnn(cell, x, dtype=tf.float32)


@case(X, N)
def t4_two_gru(x: Any, n: Any) -> Any:
    cell = cells.MultiRNNCell([cells.GRUCell(100) for _ in range(2)])
    return nn.dynamic_rnn(cell, x, sequence_length=n, dtype=tf.float32)


@case(SMALL)
def t5_dropout(x: Any) -> Any:
    keep = v1.placeholder_with_default(1.0, [])
    inner = cells.DropoutWrapper(cells.LSTMCell(7), output_keep_prob=keep, state_keep_prob=keep)
    return nn.dynamic_rnn(cells.MultiRNNCell([inner, cells.GRUCell(5)]), x, dtype=tf.float32)


@case(SMALL, N)
def t5_residual(x: Any, n: Any) -> Any:
    layers = [cells.GRUCell(6), cells.ResidualWrapper(cells.LSTMCell(6))]
    layers += [cells.ResidualWrapper(cells.BasicRNNCell(6))]
    return nn.dynamic_rnn(cells.MultiRNNCell(layers), x, sequence_length=n, dtype=tf.float32)


@case(SMALL)
def t5_device(x: Any) -> Any:
    cell = cells.DeviceWrapper(cells.BasicLSTMCell(7), "/cpu:0")
    return nn.dynamic_rnn(cell, x, dtype=tf.float32)


@case(tf.TensorSpec([None, 6, 6], tf.float32), sizes=((3, 6), (8, 6)))
def t6_static(x: Any) -> Any:
    y, s = nn.static_rnn(cells.BasicLSTMCell(7), tf.unstack(x, axis=1), dtype=tf.float32)
    return y[-1], s


@case(tf.TensorSpec([None, 6, 6], tf.float32), N, sizes=((3, 6), (8, 6)))
def t6_static_lengths(x: Any, n: Any) -> Any:
    y, s = nn.static_rnn(
        cells.GRUCell(7), tf.unstack(x, axis=1), dtype=tf.float32, sequence_length=n
    )
    return tf.stack(y, axis=1), s


@case(tf.TensorSpec([None, 6, 6], tf.float32), sizes=((3, 6), (8, 6)))
def t6_static_bidirectional(x: Any) -> Any:
    fw, bw = cells.BasicLSTMCell(7), cells.BasicLSTMCell(7)
    y, s, s_rev = nn.static_bidirectional_rnn(fw, bw, tf.unstack(x, axis=1), dtype=tf.float32)
    return y[0], tf.stack(y, axis=1), s, s_rev


class Saver:
    """Where static_state_saving_rnn takes its state from and puts it back."""

    def __init__(self, h: Any) -> None:
        self.h, self.saved = h, None

    def state(self, name: str) -> Any:
        return self.h

    def save_state(self, name: str, value: Any) -> Any:
        self.saved = value
        return tf.no_op()


@case(
    tf.TensorSpec([None, 6, 6], tf.float32),
    tf.TensorSpec([None, 7], tf.float32),
    sizes=((3, 6), (8, 6)),
)
def t6_state_saving(x: Any, h: Any) -> Any:
    saver = Saver(h)
    y, s = nn.static_state_saving_rnn(cells.GRUCell(7), tf.unstack(x, axis=1), saver, "h")
    return tf.stack(y, axis=1), s


@case(SMALL)
def t6_bidirectional(x: Any) -> Any:
    fw, bw = cells.LSTMCell(7), cells.LSTMCell(7)
    y, s = nn.bidirectional_dynamic_rnn(fw, bw, x, dtype=tf.float32)
    return tf.concat(y, 2), s


@case(SMALL, N)
def t6_bidirectional_lengths(x: Any, n: Any) -> Any:
    fw, bw = cells.GRUCell(7), cells.GRUCell(7)
    y, s = nn.bidirectional_dynamic_rnn(fw, bw, x, sequence_length=n, dtype=tf.float32)
    return tf.concat(y, 2), s


@case(SMALL, N)
def t6_stack_bidirectional(x: Any, n: Any) -> Any:
    """As contrib's stack_bidirectional_dynamic_rnn does it."""
    states = []
    for i in range(2):
        with v1.variable_scope(f"cell_{i}"):
            y, s = nn.bidirectional_dynamic_rnn(
                cells.LSTMCell(5), cells.LSTMCell(5), x, sequence_length=n, dtype=tf.float32
            )
            x = tf.concat(y, 2)
            states.append(s)
    return x, states


@case(SMALL, N)
def t6_raw(x: Any, n: Any) -> Any:
    """The example in raw_rnn's documentation, batch-major outside."""
    cell = cells.LSTMCell(7)
    batch, steps = tf.shape(x)[0], tf.shape(x)[1]
    array = tf.TensorArray(tf.float32, size=steps).unstack(tf.transpose(x, [1, 0, 2]))

    def loop(time: Any, output: Any, state: Any, _: Any) -> Any:
        following = cell.zero_state(batch, tf.float32) if output is None else state
        over = time >= n
        read = tf.cond(tf.reduce_all(over), lambda: tf.zeros([batch, 6]), lambda: array.read(time))
        read.set_shape([None, 6])
        return over, read, following, output, None

    y, s, _ = nn.raw_rnn(cell, loop)
    return tf.transpose(y.stack(), [1, 0, 2]), s
