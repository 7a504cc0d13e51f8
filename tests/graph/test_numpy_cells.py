"""The NumPy arbiter against Keras itself."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from rnnport.capture.cells import read_cell
from rnnport.capture.context import TraceContext
from rnnport.parity.tolerance import TOLERANCES
from rnnport.recurrent import RecurrentSpec
from tests.graph import numpy_cells
from tests.tiny_keras import assert_same, lively, normal

L = keras.layers
CELLS: dict[str, dict[str, Any]] = {
    "LSTM": {},
    "LSTM hard": {"recurrent_activation": "hard_sigmoid", "activation": "softsign"},
    "LSTM without bias": {"use_bias": False},
    "GRU": {"reset_after": True},
    "GRU before": {"reset_after": False},
    "GRU relu": {"reset_after": True, "activation": "relu", "recurrent_activation": "softplus"},
    "GRU without bias": {"reset_after": True, "use_bias": False},
    "SimpleRNN": {},
    "SimpleRNN elu": {"activation": "elu"},
    "SimpleRNN leaky": {"activation": "leaky_relu"},
}


@pytest.mark.parametrize("label", CELLS)
def test_one_step(label: str) -> None:
    cell = getattr(L, f"{label.split()[0]}Cell")(4, **CELLS[label])
    cell.build((None, 3))
    lively(cell)
    spec = read_cell(TraceContext(), cell, "c")
    x = normal(5, 3)
    states = [normal(5, 4, seed=s) for s in range(len(spec.states))]
    _, expected = cell(x, states)
    received = [s.astype(np.float32) for s in numpy_cells.step(spec, x, states)]
    assert_same(expected, received, TOLERANCES["numpy"])


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_a_masked_sequence(kind: str, zero: bool, backwards: bool) -> None:
    layer = getattr(L, kind)(
        4,
        return_sequences=True,
        return_state=True,
        go_backwards=backwards,
        zero_output_for_mask=zero,
    )
    x = normal(5, 6, 3)
    layer.build(x.shape)
    lively(layer)
    spec = RecurrentSpec(
        "layer",
        kind,
        (read_cell(TraceContext(), layer.cell, "c"),),
        go_backwards=backwards,
        zero_output_for_mask=zero,
    )
    states = [normal(5, 4, seed=s) for s in range(spec.state_count)]
    mask = np.random.default_rng(4).random((5, 6)) < 0.5
    mask[0], mask[1] = False, True
    expected = layer(x, initial_state=states, mask=mask)
    outputs, last, finals = numpy_cells.run(spec, x, states, mask)
    received = [a.astype(np.float32) for a in (outputs, *finals)]
    assert_same(expected, received, TOLERANCES["numpy"])
    assert np.array_equal(last, outputs[:, -1])
