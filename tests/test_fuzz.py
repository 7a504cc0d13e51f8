"""What scripts/fuzz does with a failure: found, made small, written as a script that shows it."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest

import rnnport
from rnnport.graph import weights
from tests.sweep import weights as sweep_weights
from tests.sweep.build import Case, build, run_source
from tests.sweep.case_file import read_case
from tests.sweep.check import check
from tests.sweep.fault import Fault
from tests.sweep.pair import Pair
from tests.sweep.script import script
from tests.sweep.search import FAMILIES, Found, drawn, search
from tests.sweep.stack import Layer, Stack

pytestmark = pytest.mark.filterwarnings(
    "ignore:Layer .* was passed an input with a mask:UserWarning"
)

NOTHING = Fault("nothing", "nothing was seen")
ALLOWED = {"__future__", "collections", "keras", "numpy", "pathlib", "rnnport", "sys"}
ALLOWED |= {"tempfile", "tensorflow", "tf_keras", "typing"}


def outputs(model: Any) -> list[np.ndarray[Any, Any]]:
    return sweep_weights.outputs_of(model)


def imported(text: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return found


PLAIN = [
    Stack(layers=(Layer(kind="custom cell", wrapper="backward_layer", units=2),), features=2),
    Stack(
        framework="tf_keras",
        style="subclassed",
        front="mask input",
        layers=(
            Layer(kind="GRU", units=3, activation="clip", legacy="v1", initial_state="given"),
            Layer(kind="mixed stack", units=2, activation="keras2_hard_sigmoid"),
        ),
        return_state=True,
        features=3,
    ),
]


@pytest.mark.parametrize("case", [*PLAIN, *drawn("all", 4, 11)], ids=lambda case: "")
def test_a_script_holds_the_same_model(case: Case) -> None:
    """Weights and outputs, bit for bit, without anything of the tests."""
    case = case.settled()
    text = script(case, NOTHING)
    assert imported(text) <= ALLOWED
    model, other = build(case), run_source(text)["drawn"]()
    for one, another in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(another))
    for expected, received in zip(outputs(model), outputs(other), strict=True):
        np.testing.assert_array_equal(expected, received)


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        (Stack(layers=(Layer(units=3),), features=2), Fault("stepper: AssertionError", "")),
        (Pair(kind="GRU", units=3, features=2), Fault("halves: AssertionError", "")),
    ],
)
def test_a_script_checks_the_law_that_was_broken(case: Case, fault: Fault, tmp_path: Path) -> None:
    text = script(case, fault)
    assert imported(text) <= ALLOWED
    space = run_source(text)
    assert space["check"](tmp_path) is True
    law = "check_" + fault.kind.split(":")[0]
    assert law in text
    space[law] = broken
    with pytest.raises(AssertionError, match=r"^broken$"):
        space["check"](tmp_path / "again")


def broken(*_: Any) -> None:
    raise AssertionError("broken")


def quick() -> st.SearchStrategy[Stack]:
    """Two or three plain layers, whose models take little time."""
    layer = st.builds(
        Layer,
        kind=st.sampled_from(["LSTM", "GRU", "SimpleRNN"]),
        units=st.integers(2, 5),
        use_bias=st.booleans(),
        dropout=st.sampled_from([0.0, 0.3]),
        after=st.sampled_from(["", "Dense", "Dropout"]),
    )
    return st.builds(
        Stack,
        front=st.sampled_from(["none", "Masking", "mask_zero"]),
        layers=st.lists(layer, min_size=2, max_size=3).map(tuple),
        return_sequences=st.booleans(),
        features=st.integers(1, 3),
        seed=st.integers(0, 99),
    )


def test_a_planted_fault_is_found_made_small_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GRU whose state no mask holds: the column that shuts its gate has lost its weight."""
    monkeypatch.setitem(weights._HOLD_GATES, "GRU", {0: 0.0})
    monkeypatch.setitem(FAMILIES, "quick", quick)
    out = tmp_path / "failures"
    tally = search(drawn("quick", 20, 5), shrink=300, out=out, enough=1)
    (found,) = tally.failures
    assert found.kind == "export: ParityError"
    assert isinstance(found.smallest, Stack)
    assert found.smallest.masked
    assert set(found.smallest.changed()) <= {"front", "layers"}
    (layer,) = found.smallest.layers
    assert layer == Layer(kind="GRU")
    assert isinstance(found.case, Stack)
    assert len(found.case.layers) > 1
    assert_shows_it(found, tmp_path)
    monkeypatch.undo()
    assert run_source(found.script.read_text())["check"](tmp_path / "mended") is True
    check(found.smallest, tmp_path / "mended too")


def assert_shows_it(found: Found, folder: Path) -> None:
    """The script fails, and the case beside it is the smallest one."""
    assert found.script is not None
    with pytest.raises(rnnport.errors.ParityError):
        run_source(found.script.read_text())["check"](folder / "shown")
    beside = found.script.with_suffix(".json")
    assert read_case(beside) == found.smallest
    assert json.loads(beside.read_text())["broke"].startswith("export: ParityError: ")


def test_kinds_of_one_fault_are_made_small_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every export is refused: the first model is made small, the others are noted."""

    def refused(*_: Any, **__: Any) -> None:
        raise rnnport.errors.UnsupportedModel.of("model", "any", "none", "wait")

    monkeypatch.setattr(rnnport, "export", refused)
    tally = search([PLAIN[0], Stack(seed=4)], shrink=60, out=tmp_path)
    assert [found.kind for found in tally.failures] == ["export: UnsupportedModel"] * 2
    assert [found.smallest for found in tally.failures] == [Stack(), None]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".py"]
    assert (tally.drawn, tally.options["stack seed", "4"]) == (2, 0)
