"""How failing models are made smaller, on failures made of plain conditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.sweep.pair import Pair
from tests.sweep.reduce import reduce, smaller
from tests.sweep.search import drawn
from tests.sweep.stack import Layer, Stack

BIG = Stack(
    framework="tf_keras",
    style="subclassed",
    front="mask_zero",
    layers=(
        Layer(kind="SimpleRNN", units=7, wrapper="concat", after="Dense"),
        Layer(kind="GRU", units=6, activation="gelu", dropout=0.3, legacy="v1"),
        Layer(kind="ConvLSTM2D", units=5, go_backwards=True),
    ),
    return_sequences=True,
    head="softmax",
    features=5,
    target="cuda",
    seed=77,
).settled()


def masked_gru(case: Stack) -> str | None:
    return "held" if case.masked and any(layer.kind == "GRU" for layer in case.layers) else None


def wide_gelu(case: Stack) -> str | None:
    wide = any(layer.units > 3 and layer.activation == "gelu" for layer in case.layers)
    return "wide" if wide else None


def two_layers(case: Stack) -> str | None:
    return "two" if len(case.layers) > 1 else None


@pytest.mark.parametrize(
    ("fails", "expected"),
    [
        (masked_gru, Stack(front="mask_zero", layers=(Layer(kind="GRU"),))),
        (wide_gelu, Stack(layers=(Layer(units=4, activation="gelu"),))),
        (two_layers, Stack(layers=(Layer(), Layer()))),
        (lambda case: "always", Stack()),
    ],
)
def test_what_does_not_matter_goes(fails: Callable[[Stack], str | None], expected: Stack) -> None:
    assert reduce(BIG, fails, seconds=60) == expected


def test_pairs_are_reduced_alike() -> None:
    pair = Pair(
        framework="tf_keras",
        kind="GRU",
        wrapper="Bidirectional",
        units=6,
        source="mask_zero",
        attention="Attention",
        scaled=True,
        head="softmax",
        features=4,
        target="cpu",
        seed=9,
    )

    def scaled(case: Pair) -> str | None:
        return "scaled" if case.scaled and case.units > 2 else None

    expected = Pair(units=3, attention="Attention", scaled=True)
    assert reduce(pair, scaled, seconds=60) == expected


def test_another_failure_is_not_followed() -> None:
    def fails(case: Stack) -> str:
        return "masked" if case.masked else "another"

    assert reduce(BIG, fails, seconds=60) == Stack(front="mask_zero")


def test_no_attempt_after_the_time_is_up() -> None:
    now, attempts = iter(range(100)), []

    def fails(case: Stack) -> str:
        attempts.append(case)
        return "always" if case == BIG else "never again"

    assert reduce(BIG, fails, seconds=5, clock=lambda: float(next(now))) == BIG
    assert len(attempts) == 5  # the case itself, then one at each of the seconds 1, 2, 3, 4
    assert len(set(attempts)) == 5


def test_nothing_smaller_is_unsettled_or_unchanged() -> None:
    for case in [BIG, *drawn("stacks", 5, 3), *drawn("pairs", 5, 3)]:
        found = list(smaller(case))
        assert found
        assert all(one != case and one.settled() == one for one in found)


def test_reprs_are_code() -> None:
    for case in [BIG, replace(BIG, layers=(Layer(),)), *drawn("all", 20, 4)]:
        assert eval(repr(case)) == case
        assert type(case).from_plain(case.to_plain()) == case
