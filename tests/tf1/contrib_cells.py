"""Cells that lived in tf.contrib and live in no current package, as a user's own RNNCells.

Written from the papers named at each. Axis letters: B batch, F features, U units, G groups.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

v1 = tf.compat.v1
RNNCell = v1.nn.rnn_cell.RNNCell
State = v1.nn.rnn_cell.LSTMStateTuple


class NASCell(RNNCell):  # type: ignore[misc]
    """The cell an architecture search found: Zoph and Le 2017 (arXiv:1611.01578), appendix.

    A tree over eight pairs of x_k = (W x)_k and m_k = (R h + b)_k. The leaves join a pair, the next
    four nodes join two leaves each; the memory joins the first of those.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units

    @property
    def state_size(self) -> Any:
        return State(self.units, self.units)

    @property
    def output_size(self) -> int:
        return self.units

    def build(self, shape: Any) -> None:
        features = tf.TensorShape(shape).as_list()[-1]
        self.kernel = self.add_variable("kernel", [features, 8 * self.units])
        self.recurrent = self.add_variable("recurrent_kernel", [self.units, 8 * self.units])
        self.bias = self.add_variable("bias", [8 * self.units])
        self.built = True

    def call(self, x: Any, state: Any) -> Any:
        c, h = state
        a = tf.split(x @ self.kernel, 8, axis=1)
        b = tf.split(h @ self.recurrent + self.bias, 8, axis=1)
        relu, sigmoid, tanh = tf.nn.relu, tf.sigmoid, tf.tanh
        kinds = (sigmoid, relu, sigmoid, relu, tanh, sigmoid, tanh, sigmoid)
        products = (3,)
        leaf = [
            f(p * q if k in products else p + q)
            for k, (f, p, q) in enumerate(zip(kinds, a, b, strict=True))
        ]
        first = tanh(tanh(leaf[0] * leaf[1]) + c)
        second = tanh(leaf[2] + leaf[3])
        third = tanh(leaf[4] * leaf[5])
        fourth = sigmoid(leaf[6] + leaf[7])
        c = first * second
        h = tanh(c * tanh(third + fourth))
        return h, State(c, h)


class UGRNNCell(RNNCell):  # type: ignore[misc]
    """Update gate RNN: Collins, Sohl-Dickstein and Sussillo 2017 (arXiv:1611.09913), eq. 7 to 9.

    c = tanh(W_c [x, h] + b_c), g = sigmoid(W_g [x, h] + b_g), h' = g h + (1 - g) c.
    """

    def __init__(self, units: int, forget_bias: float = 1.0) -> None:
        super().__init__()
        self.units, self.forget_bias = units, forget_bias

    @property
    def state_size(self) -> int:
        return self.units

    @property
    def output_size(self) -> int:
        return self.units

    def call(self, x: Any, h: Any) -> Any:
        joined = tf.concat([x, h], 1)
        wide = int(joined.shape[1])
        w_c, w_g = (v1.get_variable(n, [wide, self.units]) for n in ("candidate", "gate"))
        b_c, b_g = (v1.get_variable(n, [self.units]) for n in ("candidate_bias", "gate_bias"))
        candidate = tf.tanh(joined @ w_c + b_c)
        gate = tf.sigmoid(joined @ w_g + b_g + self.forget_bias)
        h = gate * h + (1 - gate) * candidate
        return h, h


class GLSTMCell(RNNCell):  # type: ignore[misc]
    """Group LSTM: Kuchaiev and Ginsburg 2017 (arXiv:1703.10722), section 2.3.

    Input and output of the last step are cut into groups; each group has gates of its own from its
    own parts alone, and what they give is put side by side.
    """

    def __init__(self, units: int, number_of_groups: int = 1) -> None:
        super().__init__()
        self.units, self.groups = units, number_of_groups

    @property
    def state_size(self) -> Any:
        return State(self.units, self.units)

    @property
    def output_size(self) -> int:
        return self.units

    def build(self, shape: Any) -> None:
        features, own = tf.TensorShape(shape).as_list()[-1], self.units // self.groups
        size = [features // self.groups + own, 4 * own]
        self.kernels = [self.add_variable(f"kernel{g}", size) for g in range(self.groups)]
        self.biases = [self.add_variable(f"bias{g}", [4 * own]) for g in range(self.groups)]
        self.built = True

    def call(self, x: Any, state: Any) -> Any:
        c, h = state
        parts = zip(tf.split(x, self.groups, axis=1), tf.split(h, self.groups, axis=1), strict=True)
        gates = [
            tf.split(tf.concat(part, 1) @ kernel + bias, 4, axis=1)
            for part, kernel, bias in zip(parts, self.kernels, self.biases, strict=True)
        ]
        i, f, o, g = (tf.concat(gate, 1) for gate in zip(*gates, strict=True))
        c = tf.sigmoid(f + 1.0) * c + tf.sigmoid(i) * tf.tanh(g)
        h = tf.sigmoid(o) * tf.tanh(c)
        return h, State(c, h)


class GridLSTMCell(RNNCell):  # type: ignore[misc]
    """Two-dimensional Grid LSTM over time and frequency: Kalchbrenner et al. 2016
    (arXiv:1507.01526), eq. 4 to 6, in the form of TF-LSTM.

    The features of a step are cut into overlapping bands. From band to band runs one LSTM, in each
    band from step to step another; both see the band and what both gave before.
    """

    def __init__(self, units: int, band: int, skip: int, bands: int) -> None:
        super().__init__()
        self.units, self.band, self.skip, self.bands = units, band, skip, bands

    @property
    def state_size(self) -> Any:
        return tuple(State(self.units, self.units) for _ in range(self.bands))

    @property
    def output_size(self) -> int:
        return 2 * self.units * self.bands

    def call(self, x: Any, state: Any) -> Any:
        return self.over_bands(x, state, "forward", range(self.bands))

    def over_bands(self, x: Any, state: Any, label: str, order: Any) -> Any:
        """One step, the bands in this order."""
        wide = self.band + 2 * self.units
        weights = {
            axis: (
                v1.get_variable(f"{label}/{axis}/kernel", [wide, 4 * self.units]),
                v1.get_variable(f"{label}/{axis}/bias", [4 * self.units]),
            )
            for axis in ("time", "frequency")
        }
        c_f = h_f = tf.zeros([tf.shape(x)[0], self.units])
        found, outputs = {}, []
        for k in order:
            c_t, h_t = state[k]
            start = k * self.skip
            joined = tf.concat([x[:, start : start + self.band], h_f, h_t], 1)
            c_t, h_t = self.lstm(joined, c_t, *weights["time"])
            c_f, h_f = self.lstm(joined, c_f, *weights["frequency"])
            found[k] = State(c_t, h_t)
            outputs += [h_t, h_f]
        return tf.concat(outputs, 1), tuple(found[k] for k in range(self.bands))

    def lstm(self, joined: Any, c: Any, kernel: Any, bias: Any) -> Any:
        """c and h of one LSTM, gates i f o g."""
        i, f, o, g = tf.split(joined @ kernel + bias, 4, axis=1)
        c = tf.sigmoid(f + 1.0) * c + tf.sigmoid(i) * tf.tanh(g)
        return c, tf.sigmoid(o) * tf.tanh(c)


class BidirectionalGridLSTMCell(GridLSTMCell):
    """The same with a second grid, which goes from the highest band to the lowest."""

    @property
    def state_size(self) -> Any:
        return super().state_size, super().state_size

    @property
    def output_size(self) -> int:
        return 2 * super().output_size

    def call(self, x: Any, state: Any) -> Any:
        up, rising = self.over_bands(x, state[0], "forward", range(self.bands))
        down, falling = self.over_bands(x, state[1], "backward", range(self.bands)[::-1])
        return tf.concat([up, down], 1), (rising, falling)
