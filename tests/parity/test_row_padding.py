"""Which letters may be padded, found by running; models in NumPy that do and do not look ahead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from rnnport.parity.row_padding import safe_row_padding
from rnnport.spec import FileRecord, Form, Port, Sampling

Arrays = Mapping[str, Any]
RECORD = FileRecord(file="a.onnx", size=1, sha256="")
MARK = -1.0


def timed(name: str = "x", letter: str = "T", mask: float | None = MARK) -> Port:
    return Port(
        name=name, dtype="float32", shape=["B", letter, 2], sampling=Sampling(mask_value=mask)
    )


def output(*shape: int | str, name: str = "y") -> Port:
    return Port(name=name, dtype="float32", shape=["B", *shape])


LAST, EVERY = output(2), output("T", 2)


def found(
    inputs: list[Port], outputs: list[Port], model: Callable[..., Any], seed: int = 0
) -> list[str]:
    def run(given: Arrays) -> Arrays:
        made = model(*(given[port.name] for port in inputs))
        made = made if isinstance(made, tuple) else (made,)
        return {p.name: np.float32(y) for p, y in zip(outputs, made, strict=True)}

    form = Form(record=RECORD, inputs=inputs, outputs=outputs)
    return safe_row_padding(form, run, sizes={"B": 2, "T": 4, "T2": 4}, seed=seed)


def valid(x: np.ndarray) -> np.ndarray:
    return (x != MARK).any(-1, keepdims=True)


def valid_sum(x: np.ndarray) -> np.ndarray:
    return np.asarray((x * valid(x)).sum(1))


def plain_sum(x: np.ndarray) -> np.ndarray:
    return np.asarray(x.sum(1))


def running(x: np.ndarray) -> np.ndarray:
    return np.asarray(x.cumsum(1))


def backwards(x: np.ndarray) -> np.ndarray:
    return np.asarray((x * valid(x))[:, ::-1].cumsum(1)[:, ::-1])


def looking_one_step_ahead(x: np.ndarray) -> np.ndarray:
    return np.asarray(x + np.roll(x, -1, 1))


@pytest.mark.parametrize(
    ("model", "masked", "letters"),
    [
        (valid_sum, LAST, ["T"]),
        (plain_sum, LAST, []),
        (running, EVERY, ["T"]),
        (backwards, EVERY, ["T"]),
        (looking_one_step_ahead, EVERY, []),
        (lambda x: x[:, ::2], output("y_1", 2), []),
        (lambda x: valid(x) * np.swapaxes(x[..., :1], 1, 2), output("T", "T"), ["T"]),
        (lambda x: x[..., 0] @ np.swapaxes(x, 1, 2)[:, 0], output("T"), []),
    ],
)
def test_a_model_that_masks(model: Any, masked: Port, letters: list[str]) -> None:
    assert found([timed()], [masked], model) == letters


@pytest.mark.parametrize(
    ("model", "given", "letters"),
    [
        (running, EVERY, ["T"]),
        (plain_sum, LAST, []),
        (backwards, EVERY, []),
        # Zeros would change nothing here; padding is more than zeros, so it is not relied upon.
        (lambda x: x[..., ::-1].sum(1), LAST, []),
        (looking_one_step_ahead, EVERY, []),
    ],
)
def test_without_a_mask_only_what_never_looks_ahead(
    model: Any, given: Port, letters: list[str]
) -> None:
    assert found([timed(mask=None)], [given], model) == letters


def test_a_mask_that_is_an_input() -> None:
    mask = Port(name="m", dtype="bool", shape=["B", "T"], sampling=Sampling(kind="bool"))
    one = [timed(mask=None), mask]
    assert found(one, [LAST], lambda x, m: np.where(m[..., None], x, 0).sum(1)) == ["T"]
    assert found(one, [LAST], lambda x, m: np.where(m[..., None], x, 1).sum(1)) == []


def test_every_letter_for_itself() -> None:
    two = [timed("a"), timed("b", "T2")]
    assert found(two, [LAST], lambda a, b: valid_sum(a) + valid_sum(b)) == ["T", "T2"]
    assert found(two, [LAST], lambda a, b: valid_sum(a) + plain_sum(b)) == ["T"]
    assert found(two, [LAST], lambda a, b: plain_sum(a) + plain_sum(b)) == []


def test_letters_that_are_safe_each_but_not_together() -> None:
    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        # The rows drawn are one step longer in b; so are batches in which both are padded.
        both = len(a) > 1 and b.shape[1] == a.shape[1] + 1
        return valid_sum(a) + valid_sum(b) + np.float32(both)

    assert found([timed("a"), timed("b", "T2")], [LAST], model) == []


def test_one_of_several_outputs_is_enough() -> None:
    two = [EVERY, output(2, name="last")]
    assert found([timed()], two, lambda x: (running(x), valid_sum(x))) == ["T"]
    assert found([timed()], two, lambda x: (running(x), plain_sum(x))) == []


def test_a_batch_that_is_no_batch() -> None:
    fixed = Port(name="x", dtype="float32", shape=[1, "T", 2], sampling=Sampling(mask_value=MARK))
    assert found([fixed], [EVERY], running) == []
    reduced = Port(name="y", dtype="float32", shape=[2])
    assert found([timed()], [reduced], lambda x: valid_sum(x).sum(0)) == []


def test_a_letter_that_is_no_time() -> None:
    image = Port(name="x", dtype="float32", shape=["B", "T", "T2"], sampling=Sampling())
    assert found([image], [output("T", "T2")], lambda x: x) == ["T"]
    square = Port(name="x", dtype="float32", shape=["B", "T", "T"], sampling=Sampling())
    assert found([square], [output("T", "T")], lambda x: x) == []


def test_models_that_refuse() -> None:
    def refusing(x: np.ndarray) -> np.ndarray:
        raise RuntimeError("no kernel")

    def needing_two(x: np.ndarray) -> np.ndarray:
        if x.shape[1] < 2:
            raise RuntimeError("too short")
        return running(x)

    assert found([timed()], [EVERY], refusing) == []
    assert found([timed()], [EVERY], needing_two) == ["T"]


def test_a_small_difference_is_one() -> None:
    """Ten times the stream tolerance a step, and a tenth of it."""
    assert found([timed()], [LAST], lambda x: valid_sum(x) + 1e-5 * x.shape[1]) == []
    assert found([timed()], [LAST], lambda x: valid_sum(x) + 1e-8 * x.shape[1]) == ["T"]
