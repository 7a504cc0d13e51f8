from __future__ import annotations

import numpy as np
import pytest

from rnnport.graph.quantise import ALL_BITS, SAFE_BITS, fits, quantise


@pytest.mark.parametrize("most", [ALL_BITS, SAFE_BITS])
def test_every_weight_is_within_half_a_step_of_its_own_channel(most: int) -> None:
    weights = np.random.default_rng(0).standard_normal((3, 20, 7)).astype("float32")
    weights[1] *= 1000
    made = quantise(weights, (2,), most)
    assert (made.q.dtype, made.scale.shape) == (np.int8, (3, 20, 1))
    assert np.abs(made.q).max(axis=2).tolist() == [[most] * 20] * 3
    assert (np.abs(made.value - weights) <= 0.5001 * made.scale).all()
    assert np.abs(made.value - weights)[0].max() > 0


def test_a_channel_of_zeros_stays_zero() -> None:
    made = quantise(np.zeros((2, 4), np.float32), (1,))
    assert made.scale.ravel().tolist() == [1.0, 1.0]
    assert not made.value.any()


def test_two_safe_products_fit_into_sixteen_bits() -> None:
    assert 2 * 255 * SAFE_BITS <= np.iinfo(np.int16).max < 2 * 255 * ALL_BITS


def test_hold_columns_are_no_weights() -> None:
    assert fits(np.ones((2, 3)))
    assert not fits(np.array([[1.0, 1e30]]))
    assert not fits(np.zeros((0, 3)))
