from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnport.errors import InputError
from rnnport.runtime.structure import bind, pack
from rnnport.spec import Port, Structure
from tests.tiny import leaf

A, B, C = (np.full(2, n) for n in (1, 2, 3))
PORTS = [Port(name=name, dtype="float32", shape=["B"]) for name in "abc"]
NESTED = Structure(
    kind="dict",
    keys=["left", "rest"],
    items=[leaf("a"), Structure(kind="list", items=[leaf("b"), leaf("c")])],
)
FLAT = Structure(kind="list", items=[leaf("a"), leaf("b"), leaf("c")])
ONE = Structure(kind="list", items=[leaf("a")])
BOUND = {"a": A, "b": B, "c": C}


@pytest.mark.parametrize(
    ("structure", "packed"),
    [
        (FLAT, (A, B, C)),
        (Structure(kind="tuple", items=[leaf("c")]), (C,)),
        (NESTED, {"left": A, "rest": (B, C)}),
    ],
)
def test_outputs_are_packed_as_keras_gives_them(structure: Structure, packed: Any) -> None:
    assert pack(structure, BOUND) == packed


def test_one_output_is_the_array_itself() -> None:
    assert pack(leaf("b"), BOUND) is B


@pytest.mark.parametrize(
    ("structure", "args", "kwargs"),
    [
        (FLAT, (A, B, C), {}),
        (FLAT, (), BOUND),
        (FLAT, (A,), {"c": C, "b": B}),
        (FLAT, ([A, B, C],), {}),
        (FLAT, ((A, B, C),), {}),
        (FLAT, (BOUND,), {}),
        (NESTED, ({"left": A, "rest": (B, C)},), {}),
        (NESTED, (BOUND,), {}),
        (NESTED, (A, B, C), {}),
    ],
)
def test_every_way_to_call(structure: Structure, args: Any, kwargs: Any) -> None:
    assert {name: id(a) for name, a in bind(PORTS, structure, args, kwargs).items()} == {
        name: id(a) for name, a in BOUND.items()
    }


@pytest.mark.parametrize("structure", [leaf("a"), ONE])
def test_nested_lists_are_one_array_where_there_is_one_input(structure: Structure) -> None:
    assert bind(PORTS[:1], structure, ([[1.0], [2.0]],), {}) == {"a": [[1.0], [2.0]]}


def test_a_list_of_one_array_is_unpacked_for_a_list_of_one_input() -> None:
    assert bind(PORTS[:1], ONE, ([A],), {})["a"] is A


@pytest.mark.parametrize(
    ("structure", "args", "kwargs", "message"),
    [
        (FLAT, (A, B, C, A), {}, "arguments | received: 4 by position | expected: at most 3"),
        (FLAT, (A,), {"a": A}, "input 'a' | received: given by position and by name"),
        (FLAT, ([A, B],), {}, "inputs | received: a list of 2 | expected: a list of 3"),
        (
            NESTED,
            ({"left": A, "wrong": B},),
            {},
            "inputs | received: keys ['left', 'wrong'] | expected: keys ['left', 'rest']",
        ),
        (
            NESTED,
            ({"left": A, "rest": B},),
            {},
            "inputs['rest'] | received: a ndarray | expected: a list of 2",
        ),
        (FLAT, ({"z": A},), {}, "inputs | received: keys ['z'] | expected: keys ['a', 'b', 'c']"),
    ],
)
def test_calls_that_do_not_fit(structure: Structure, args: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        bind(PORTS, structure, args, kwargs)
    assert str(caught.value).startswith(message)
    assert caught.value.reasons[0].remedy
