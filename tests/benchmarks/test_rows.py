from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from suite.field import Field
from suite.measure import Limits
from suite.peers.floor_op import one_op_graph
from suite.peers.registry import FLOORS, OURS, PEERS, PORTABLE, REFERENCE, RIVALS
from suite.rows import Unequal, apart, flat, run_row
from suite.workloads import Model

from tests.benchmarks.records import find
from tests.guests import scripted

WORK = find("LSTM 16→32, 1×1, plain")
ONCE = Limits(seconds=0.0, pause=0.0, block=0.0, rounds=1)
ALONE = scripted()
Y = np.array([[0.5, -2.0]], np.float32)


def field(**results: Any) -> Field:
    """Contenders that give these arrays, or raise these errors."""

    def making(result: Any) -> Callable[[Any], Callable[[], Any]]:
        def run() -> Any:
            if isinstance(result, Exception):
                raise result
            return result

        return lambda work: run

    names = {"ours": OURS, "portable": PORTABLE, "reference": REFERENCE}
    binds = {names.get(name, name): making(result) for name, result in results.items()}
    return Field(WORK.model, binds)


def test_equal_contenders_are_timed() -> None:
    found = run_row(WORK, field(ours=Y, reference=[Y], XLA=(Y + 1e-5,)), ONCE, ALONE)
    assert set(found["us"]) == {OURS, REFERENCE, "XLA"}
    assert found["errors"] == {OURS: 0.0, "XLA": 5e-6}
    assert found["absent"] == {}
    assert all(times[0] >= 0 and times[3] >= 1 for times in found["us"].values())


def test_calls_that_do_not_count_come_first() -> None:
    calls: list[str] = []

    def noted() -> Any:
        calls.append("ours")
        return Y

    chosen = field(reference=Y)
    chosen.bind[OURS] = lambda work: noted
    found = run_row(WORK, chosen, ONCE, ALONE)
    counted = found["us"][OURS][3]
    assert len(calls) == 1 + 2 + counted  # the comparison, two more, those that count


def test_a_peer_that_differs_or_fails_is_left_out_and_why() -> None:
    wrong = field(ours=Y, reference=Y, XLA=Y + 0.1, tf2onnx=ValueError("no\nsuch op"))
    found = run_row(WORK, wrong, ONCE, ALONE)
    assert set(found["us"]) == {OURS, REFERENCE}
    assert found["absent"] == {"XLA": "gives other outputs (5.0e-02)", "tf2onnx": "ValueError: no"}


@pytest.mark.parametrize("name", ["ours", "portable"])
def test_rnnport_itself_must_be_equal(name: str) -> None:
    given = {"ours": Y, "portable": Y, "reference": Y, name: Y + 0.1}
    with pytest.raises(Unequal, match=r"gives other outputs \(5\.0e-02\)$"):
        run_row(WORK, field(**given), ONCE, ALONE)


def test_constant_outputs_prove_nothing() -> None:
    with pytest.raises(Unequal, match="constant"):
        run_row(WORK, field(ours=0 * Y, reference=0 * Y), ONCE, ALONE)


def test_floors_are_not_compared() -> None:
    given = {"ours": Y, "reference": Y, FLOORS[0]: None}
    assert FLOORS[0] in run_row(WORK, field(**given), ONCE, ALONE)["us"]


def test_how_far_apart() -> None:
    assert apart([Y], [Y + 0.2]) == pytest.approx(0.2 / 1.8)
    assert apart([Y], [Y[0]]) == float("inf")
    assert apart([Y * np.nan], [Y]) == float("inf")
    ids = np.array([1, 2])
    assert apart([ids], [ids]) == 0.0
    assert apart([ids], [ids + 1]) == float("inf")


def test_any_nesting_is_flat() -> None:
    assert [int(a) for a in flat({"b": (1, [2]), "a": 3})] == [1, 2, 3]


def test_contenders_have_names_of_their_own() -> None:
    names = [peer.name for peer in PEERS]
    assert len(set(names)) == len(names)
    assert {*RIVALS, *FLOORS, OURS, PORTABLE} == set(names)
    assert set(RIVALS) == {
        "Keras predict",
        "tf.function",
        "XLA",
        "tf2onnx",
        "torch.nn",
        "OpenVINO",
        "OpenVINO on rnnport's graph",
    }


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("family", ["grid", "bidirectional"])
def test_the_floor_is_one_operator(kind: str, family: str) -> None:
    graph = onnx.load_from_string(one_op_graph(Model(family, kind, 3, 5)))
    onnx.checker.check_model(graph, full_check=True)
    assert [node.op_type for node in graph.graph.node] == [kind.replace("SimpleRNN", "RNN")]
