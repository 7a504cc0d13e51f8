"""States that are counters and flags, and initial states of a subclass's own, in tf_keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import rnnport
from tests.keras2.proving import L, Prove, functional
from tests.tiny_keras import lively, normal


class Counter(L.Layer):  # type: ignore[misc]
    """Looks up a row by an int32 state, and stops counting where a bool state says so."""

    state_size = (4, 1, 1)
    output_size = 4

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")
        self.recurrent = self.add_weight(shape=(4, 4), name="recurrent")
        self.rows = self.add_weight(shape=(6, 4), name="rows")

    def get_initial_state(
        self, inputs: Any = None, batch_size: Any = None, dtype: Any = None
    ) -> Any:
        one = (batch_size, 1)
        return tf.zeros((batch_size, 4)), tf.fill(one, 2), tf.zeros(one, tf.bool)

    def step(self, x: Any, states: Any) -> tuple[Any, Any]:
        h, count, stopped = states
        row = tf.gather(self.rows, count[:, 0])
        h = tf.tanh(tf.matmul(x, self.kernel) + tf.matmul(h, self.recurrent) + row)
        moved = (count + tf.cast(x[:, :1] > 0, tf.int32)) % 6
        return h, (h, tf.where(stopped, count, moved), stopped ^ (x[:, 1:2] > 0.8))

    def call(self, x: Any, states: Any) -> Any:
        return self.step(x, states)


class Telling(Counter):
    """Gives counter and flag out too."""

    output_size = (4, 1, 1)

    def call(self, x: Any, states: Any) -> Any:
        _, new = self.step(x, states)
        return new, new


@pytest.mark.parametrize("mask", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize(
    "options", [{}, {"go_backwards": True}, {"zero_output_for_mask": True}], ids=str
)
@pytest.mark.parametrize("kind", [Counter, Telling])
def test_counters_and_flags(
    prove: Prove, kind: type[Counter], options: dict[str, Any], mask: bool
) -> None:
    layer = L.RNN(kind(), return_sequences=True, return_state=True, **options)
    streams = "go_backwards" not in options
    artifact = prove(functional(layer, mask=mask), scan=1, streams=streams)
    outputs = artifact.manifest.forms["model"].outputs
    assert [p.dtype for p in outputs[-3:]] == ["float32", "int32", "bool"]
    if streams:
        dtypes = {s.name: s.dtype for s in artifact.manifest.forms["stream"].states}
        expected = ["float32", "int32", "bool"]
        name = layer.name
        assert [dtypes[f"{name}_state{n}"] for n in range(3)] == expected
        held = mask and "zero_output_for_mask" not in options
        assert dtypes.get(f"{name}_output2") == ("bool" if held and kind is Telling else None)


def test_counters_among_fused_cells(prove: Prove) -> None:
    layer = L.RNN([L.LSTMCell(4), Counter()], return_sequences=True)
    prove(functional(layer, mask=True), LSTM=1, scan=1, streams=True)


def test_counters_of_many_streams(prove: Prove) -> None:
    """Step by step, through snapshots, alone and in a pool."""
    model = functional(L.RNN(Counter(), return_sequences=True))
    artifact = prove(model, scan=1, streams=True)
    runner, x = rnnport.load(artifact, provider="cpu"), normal(3, 8, 3)
    stepper, pool = runner.stepper(3), runner.pool(capacity=4)
    ids, steps = [pool.open() for _ in range(3)], []
    for t in range(8):
        steps.append(stepper.step(x[:, t]))
        stepper.restore(stepper.snapshot())
        np.testing.assert_array_equal(pool.step(ids, x[:, t]), steps[-1])
    np.testing.assert_allclose(np.stack(steps, 1), model(x), rtol=0, atol=1e-5)
    assert {str(a.dtype) for a in stepper.state.values()} == {"float32", "int32", "bool"}


class Biased(L.LSTM):  # type: ignore[misc]
    """Starts from something else than zeros, which the first step of the sequence says."""

    def get_initial_state(self, inputs: Any) -> Any:
        first = inputs[0] if self.time_major else inputs[:, 0]
        start = tf.reduce_sum(first, -1, keepdims=True) * tf.ones((1, self.units))
        return [0.3 * start, 0.5 - start]


@pytest.mark.parametrize("mask", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_layer_with_a_start_of_its_own(prove: Prove, mask: bool, backwards: bool) -> None:
    layer = Biased(4, return_sequences=True, return_state=True, go_backwards=backwards)
    prove(functional(layer, mask=mask), LSTM=1, streams=False)


def test_a_start_of_its_own_with_time_first(prove: Prove) -> None:
    prove(functional(Biased(4, time_major=True, return_sequences=True)), LSTM=1)


class Lit(L.ConvLSTM1D):  # type: ignore[misc]
    """A convolution that starts from ones."""

    def get_initial_state(self, inputs: Any) -> Any:
        return [tf.ones_like(s) for s in super().get_initial_state(inputs)]


def test_a_convolution_with_a_start_of_its_own(prove: Prove) -> None:
    x = L.Input((None, 6, 2), name="x")
    layer = Lit(3, 3, padding="same", return_sequences=True)
    prove(lively(tf_keras.Model(x, layer(x))), scan=1, streams=True)
