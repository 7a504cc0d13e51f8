"""Which tensor goes where, on ports alone."""

from __future__ import annotations

from typing import Any

import pytest

from rnnport.errors import UnsupportedModel
from rnnport.pair_match import Link, wire
from rnnport.spec import Port


def port(name: str, *shape: int | str, dtype: str = "float32") -> Port:
    return Port(name=name, dtype=dtype, shape=["B", *shape])


X = port("x", "T", dtype="int32")
Y = port("y", "T", 9)
H, C = port("h", 6), port("c", 6)
M, V = port("m", "T", 6), port("v", "T", dtype="bool")


def links(given: list[Port], taken: list[Port], returned: list[Port], **said: Any) -> Any:
    wiring = wire(given, taken, returned, **said)
    return [(one.input, one.source, one.output) for one in wiring.links]


@pytest.mark.parametrize(
    ("given", "taken", "returned", "expected"),
    [
        ([port("a", 6), port("b", 6)], [X, H, C], [Y, H, C], [(1, 0, 1), (2, 1, 2)]),
        # Names before order, whatever is put around them.
        ([C, H], [X, H, C], [Y, port("c_out", 6), port("next_h", 6)], [(1, 1, 2), (2, 0, 1)]),
        # Shapes tell hidden from memory, in whichever order they come.
        (
            [port("o", "S", 6), port("s", 6)],
            [X, H, M],
            [Y, port("z", 6)],
            [(1, 1, 1), (2, 0, None)],
        ),
        # Sizes tell layers apart.
        (
            [port("a", 6), port("b", 4)],
            [X, port("g", 4), H],
            [Y, H, port("g", 4)],
            [(1, 1, 2), (2, 0, 1)],
        ),
        # The first argument is the decoder's own, though it is like the other.
        ([port("a", "S", 6)], [port("x", "T", 6), M], [port("y", "T", 6)], [(1, 0, None)]),
        # A length that the decoder fixes is met by one that varies.
        ([port("a", "S", 6)], [X, port("m", 10, 6)], [Y], [(1, 0, None)]),
        # A memory handed through is no state.
        (
            [port("o", "S", 6), port("s", 6)],
            [X, H, M],
            [Y, port("z", 6), M],
            [(1, 1, 1), (2, 0, None)],
        ),
        # Another output, of another shape, is none either.
        ([H, V], [X, H, V], [Y, port("w", "T", 1), H], [(1, 0, 2), (2, 1, None)]),
    ],
)
def test_matched(
    given: list[Port], taken: list[Port], returned: list[Port], expected: list[Link]
) -> None:
    assert links(given, taken, returned) == expected


def test_fewer_outputs_than_like_inputs_are_matched_by_name_alone() -> None:
    taken, returned = [X, port("h_prev", 6), port("ctx_prev", 6)], [Y, H, port("ctx", 6)]
    assert links([H], taken, returned) == [(1, 0, 1)]
    said = {"h_prev": "h", "ctx_prev": "ctx"}
    assert links([H], taken, returned, states=said) == [(1, 0, 1), (2, None, 2)]
    for more in ({}, {"states": said}):
        with pytest.raises(UnsupportedModel) as caught:
            wire([port("gru", 6)], taken, returned, **more)
        assert str(caught.value) == (
            "encoder and decoder | received: encoder gives gru float32 (B, 6); decoder takes "
            "3 tensors x int32 (B, T), h_prev float32 (B, 6), ctx_prev float32 (B, 6) and gives "
            "3 tensors y float32 (B, T, 9), h float32 (B, 6), ctx float32 (B, 6): which of its "
            "inputs 2 tensors h_prev float32 (B, 6), ctx_prev float32 (B, 6) starts from gru "
            "float32 (B, 6) is not clear | expected: as many encoder outputs as decoder inputs of "
            "one shape, or the same name on both sides | remedy: return a dict from the encoder "
            "with the names of the decoder's inputs, name those that the decoder is given anew for "
            "every step in decoder_inputs=, and those that start from zeros in states="
        )


def test_lengths_that_one_side_fixes_are_met_in_order() -> None:
    given, taken = [port("a", "S", 6), port("b", "S", 6)], [X, port("m", 9, 6), port("n", 9, 6)]
    assert links(given, taken, [Y]) == [(1, 0, None), (2, 1, None)]
    with pytest.raises(UnsupportedModel, match=r"starts from a float32 \(B, S, 6\) is not clear"):
        wire(given[:1], taken, [Y])


def test_a_dict_has_no_first_argument() -> None:
    taken = [C, H, X]
    assert links([C, H], taken, [Y, C, H], ordered=False) == [(0, 0, 1), (1, 1, 2)]


def test_the_first_key_of_a_dict_may_be_a_state() -> None:
    returned = [port("h_next", 6), port("scores", 9)]
    assert links([H], [X, H], returned, keyed=True) == [(1, 0, 0)]
    assert links([port("a", 6)], [X, C], returned, keyed=True) == [(1, 0, 0)]
    # In a list the first output is the one that is wanted.
    assert links([H], [X, H], returned) == [(1, 0, None)]


def test_the_users_word() -> None:
    returned = [Y, port("p", 6), port("q", 6)]
    assert links([H, C], [X, H, C], returned, states={"h": "q"}) == [(1, 0, 2), (2, 1, None)]
    # A state that the encoder does not give starts from zeros.
    assert links([H], [X, H, port("g", 4)], [Y, H, port("k", 4)], states={"h": "h", "g": "k"}) == [
        (1, 0, 1),
        (2, None, 2),
    ]
    wiring = wire([port("a", 6)], [X, H, C], [Y, port("p", 6)], own=["x", "c"])
    assert (wiring.own, wiring.links) == ([0, 2], [Link(1, 0, 1)])


@pytest.mark.parametrize(
    ("given", "taken", "returned", "reason"),
    [
        ([port("a", 6)] * 3, [X, H, C], [Y, H, C], "3 encoder outputs are alike"),
        ([port("a", 6)], [X, port("h", 7)], [Y], "fits none of h float32 (B, 7)"),
        ([port("h", "S", 6)], [X, H], [Y], "fits none of h float32 (B, 6)"),
        ([V], [X, port("v", "T")], [Y], "fits none of v float32 (B, T)"),
        ([H, C], [X, H, C], [Y, port("k", 6)], "is not clear"),
        ([H], [X], [Y], "the decoder takes nothing of what the encoder gives"),
        ([H, C], [H, C], [Y], "so it has none of its own"),
        ([], [X, H], [Y], "encoder gives nothing; decoder takes 2 tensors x int32 (B, T), h"),
    ],
)
def test_refused(given: list[Port], taken: list[Port], returned: list[Port], reason: str) -> None:
    with pytest.raises(UnsupportedModel) as caught:
        wire(given, taken, returned)
    assert reason in str(caught.value)
