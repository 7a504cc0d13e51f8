"""TensorFlow 1 models of the mission table: builders of cells rnnport has no formula for."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tests.tf1.cases import KEPT, SMALL, N, case
from tests.tf1.contrib_cells import (
    BidirectionalGridLSTMCell,
    GLSTMCell,
    GridLSTMCell,
    NASCell,
    UGRNNCell,
)
from tests.tf1.models import Saver

v1 = tf.compat.v1
nn = v1.nn
cells = v1.nn.rnn_cell

SIX = tf.TensorSpec([None, 6, 6], tf.float32)
SIXES: dict[str, Any] = {"sizes": ((3, 6), (8, 6))}
WIDE = tf.TensorSpec([None, None, 8], tf.float32)


@case(SMALL)
def t2_projection_and_clipping(x: Any) -> Any:
    cell = cells.LSTMCell(9, num_proj=5, cell_clip=0.4, proj_clip=0.3)
    return nn.dynamic_rnn(cell, x, dtype=tf.float32)


@case(SMALL)
def t2_cell_clip(x: Any) -> Any:
    cell = cells.LSTMCell(9, cell_clip=0.2, use_peepholes=True, state_is_tuple=False)
    y, s = nn.dynamic_rnn(cell, tf.transpose(x, [1, 0, 2]), time_major=True, dtype=tf.float32)
    return tf.transpose(y, [1, 0, 2]), s


@case(SMALL, N, tf.TensorSpec([None, 9], tf.float32), tf.TensorSpec([None, 5], tf.float32))
def t2_projection_state_in(x: Any, n: Any, c: Any, h: Any) -> Any:
    start = cells.LSTMStateTuple(c, h)
    cell = cells.LSTMCell(9, num_proj=5)
    y, end = nn.dynamic_rnn(cell, x, sequence_length=n, initial_state=start)
    return y, end.h, end.c


@case(SMALL, N)
def t2_projection_bidirectional(x: Any, n: Any) -> Any:
    fw, bw = cells.LSTMCell(7, num_proj=3), cells.LSTMCell(6, num_proj=4, proj_clip=0.3)
    return nn.bidirectional_dynamic_rnn(fw, bw, x, sequence_length=n, dtype=tf.float32)


@case(SMALL)
def t2_projection_one_sided(x: Any) -> Any:
    fw, bw = cells.GRUCell(7), cells.LSTMCell(6, num_proj=4)
    return nn.bidirectional_dynamic_rnn(fw, bw, x, dtype=tf.float32)


@case(SMALL, N)
def t4_projection_among_standard_cells(x: Any, n: Any) -> Any:
    stack = [cells.GRUCell(6), cells.LSTMCell(9, num_proj=5), cells.LSTMCell(4), cells.GRUCell(3)]
    return nn.dynamic_rnn(cells.MultiRNNCell(stack), x, sequence_length=n, dtype=tf.float32)


@case(tf.TensorSpec([None, None, 160], tf.float32), N)
def t2_projection_of_a_wide_input(x: Any, n: Any) -> Any:
    cell = cells.LSTMCell(20, num_proj=12, use_peepholes=True)
    return nn.dynamic_rnn(cell, x, sequence_length=n, dtype=tf.float32)


def _gated(x: Any, y: Any) -> Any:
    return tf.tanh(x) * y + 0.5 * x


@case(SMALL, N)
def t5_residual_function(x: Any, n: Any) -> Any:
    cell = cells.ResidualWrapper(cells.LSTMCell(6), residual_fn=_gated)
    return nn.dynamic_rnn(cell, x, sequence_length=n, dtype=tf.float32)


class EmbeddingWrapper(cells.RNNCell):  # type: ignore[misc]
    """Looks up the ids of a step and runs a cell on what it finds."""

    def __init__(self, cell: Any, size: int, width: int) -> None:
        super().__init__()
        self.cell, self.size, self.width = cell, size, width

    @property
    def state_size(self) -> Any:
        return self.cell.state_size

    @property
    def output_size(self) -> Any:
        return self.cell.output_size

    def call(self, ids: Any, state: Any) -> Any:
        table = v1.get_variable("embedding", [self.size, self.width])
        return self.cell(tf.nn.embedding_lookup(table, tf.reshape(ids, [-1])), state)


class InputProjection(EmbeddingWrapper):
    """Runs a cell on a linear map of the input."""

    def call(self, x: Any, state: Any) -> Any:
        return self.cell(v1.layers.dense(x, self.width), state)


class OutputProjection(EmbeddingWrapper):
    """A linear map of what a cell gives."""

    @property
    def output_size(self) -> int:
        return self.width

    def call(self, x: Any, state: Any) -> Any:
        y, state = self.cell(x, state)
        return v1.layers.dense(y, self.width, name="projection"), state


@case(tf.TensorSpec([None, None, 1], tf.int32))
def t5_embedding_wrapper(i: Any) -> Any:
    return nn.dynamic_rnn(EmbeddingWrapper(cells.GRUCell(5), 8, 4), i, dtype=tf.float32)


@case(SMALL, N)
def t5_input_and_output_projection(x: Any, n: Any) -> Any:
    cell = OutputProjection(InputProjection(cells.LSTMCell(5), 0, 4), 0, 3)
    return nn.dynamic_rnn(cell, x, sequence_length=n, dtype=tf.float32)


@case(SMALL)
def t5_dropout_around_projection(x: Any) -> Any:
    inner = cells.ResidualWrapper(cells.LSTMCell(9, num_proj=6))
    wrapped = cells.DropoutWrapper(inner, input_keep_prob=KEPT["probability"])
    return nn.dynamic_rnn(cells.MultiRNNCell([wrapped, cells.GRUCell(5)]), x, dtype=tf.float32)


@case(SIX, N, **SIXES)
def t6_static_custom(x: Any, n: Any) -> Any:
    steps = tf.unstack(x, axis=1)
    y, s = nn.static_rnn(UGRNNCell(7), steps, dtype=tf.float32, sequence_length=n)
    return tf.stack(y, axis=1), s


@case(SIX, **SIXES)
def t6_static_bidirectional_custom(x: Any) -> Any:
    fw, bw = cells.LSTMCell(7, num_proj=3), NASCell(5)
    y, *ends = nn.static_bidirectional_rnn(fw, bw, tf.unstack(x, axis=1), dtype=tf.float32)
    return tf.stack(y, axis=1), ends


@case(SIX, tf.TensorSpec([None, 7], tf.float32), **SIXES)
def t6_state_saving_custom(x: Any, h: Any) -> Any:
    y, s = nn.static_state_saving_rnn(UGRNNCell(7), tf.unstack(x, axis=1), Saver(h), "h")
    return tf.stack(y, axis=1), s


@case(SMALL, N)
def t6_raw_custom(x: Any, n: Any) -> Any:
    cell = cells.LSTMCell(7, num_proj=4)
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


@case(SIX, **SIXES)
def t6_custom_by_hand(x: Any) -> Any:
    cell = cells.LSTMCell(7, num_proj=4)
    state, outputs = cell.zero_state(tf.shape(x)[0], tf.float32), []
    for t in range(6):
        y, state = cell(x[:, t], state)
        outputs.append(y)
    return tf.stack(outputs, axis=1), state


@case(SMALL)
def t7_nas_cell(x: Any) -> Any:
    return nn.dynamic_rnn(NASCell(9), x, dtype=tf.float32)


@case(SMALL, N)
def t7_nas_cell_lengths(x: Any, n: Any) -> Any:
    return nn.dynamic_rnn(NASCell(9), x, sequence_length=n, dtype=tf.float32)


@case(SMALL)
def t7_ugrnn_cell(x: Any) -> Any:
    return nn.dynamic_rnn(UGRNNCell(9), x, dtype=tf.float32)


@case(SMALL)
def t7_glstm_cell(x: Any) -> Any:
    return nn.dynamic_rnn(GLSTMCell(8, number_of_groups=2), x, dtype=tf.float32)


@case(WIDE)
def t7_grid_lstm_cell(x: Any) -> Any:
    return nn.dynamic_rnn(GridLSTMCell(4, band=4, skip=2, bands=3), x, dtype=tf.float32)


@case(WIDE, N)
def t7_grid_lstm_cell_lengths(x: Any, n: Any) -> Any:
    cell = GridLSTMCell(4, band=4, skip=2, bands=3)
    return nn.dynamic_rnn(cell, x, sequence_length=n, dtype=tf.float32)


@case(WIDE)
def t7_bidirectional_grid_lstm_cell(x: Any) -> Any:
    cell = BidirectionalGridLSTMCell(4, band=4, skip=2, bands=3)
    return nn.dynamic_rnn(cell, x, dtype=tf.float32)


@case(SMALL)
def t7_stack_with_a_standard_cell(x: Any) -> Any:
    stack = cells.MultiRNNCell([UGRNNCell(6), cells.LSTMCell(5), NASCell(4)])
    return nn.dynamic_rnn(stack, x, dtype=tf.float32)
