from __future__ import annotations

import numpy as np
import pytest

from rnnport.parity.where import describe_start, first_bad_layer

CLEAN = np.zeros((4, 6, 2))


def spoilt(*places: tuple[int, int, int], by: float = 0.5) -> np.ndarray:
    array = CLEAN.copy()
    for number, place in enumerate(places):
        array[place] = by * (number + 1)
    return array


@pytest.mark.parametrize(
    ("received", "timed", "words"),
    [
        (
            spoilt((1, 2, 0), (1, 4, 1)),
            True,
            "step 3 of 6, row 1 of 4, worst at [1, 4, 1]: 1 for 0",
        ),
        (spoilt((1, 2, 0)), False, "row 1 of 4, worst at [1, 2, 0]: 0.5 for 0"),
        (CLEAN + 1, True, "step 1 of 6, worst at [0, 0, 0]: 1 for 0"),
        (spoilt((0, 0, 0), by=np.nan), False, "row 0 of 4, worst at [0, 0, 0]: nan for 0"),
        (spoilt((0, 5, 1), by=1e-9), True, ""),
    ],
)
def test_the_first_step_and_the_worst_element(
    received: np.ndarray, timed: bool, words: str
) -> None:
    assert describe_start(CLEAN, received, 1e-6, timed=timed) == words


def test_scalars_have_neither_rows_nor_steps() -> None:
    assert describe_start(np.array(1.0), np.array(2.0), 0.1, timed=True) == "worst at []: 2 for 1"


def test_the_first_layer_that_differs_in_the_order_of_the_model() -> None:
    right = {"a": np.ones(3), "b": np.ones((2, 2)), "c": np.ones(2)}
    wrong = {**right, "c": np.zeros(2), "b": np.ones((2, 2)) + 1e-3}
    assert first_bad_layer(["a", "b", "c"], right, wrong, 1e-5) == "b"
    assert first_bad_layer(["a", "c", "b"], right, wrong, 1e-5) == "c"
    assert first_bad_layer(["a", "b", "c"], right, right, 1e-5) == ""
    assert first_bad_layer(["a", "b"], right, {**right, "a": np.ones(4)}, 1e-5) == "a"
    assert first_bad_layer(["a"], {}, wrong, 1e-5) == ""
