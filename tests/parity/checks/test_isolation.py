"""Rows that look at one another are found; rows that do not are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import pytest

from rnnport.parity.checks.isolation import check_isolation
from rnnport.spec import FileRecord, Form, Port, Sampling

Arrays = Mapping[str, Any]
X = Port(name="x", dtype="float32", shape=["B", "T", 3], sampling=Sampling())
Y = Port(name="y", dtype="float32", shape=["B", "T", 3])
FORM = Form(record=FileRecord(file="x.onnx", size=0, sha256=""), inputs=[X], outputs=[Y])
SIZES = {"B": 5, "T": 4}


def own(inputs: Arrays) -> Arrays:
    return {"y": np.cumsum(inputs["x"], axis=1)}


def shifted(inputs: Arrays) -> Arrays:
    return {"y": np.roll(own(inputs)["y"], 1, axis=0)}


def averaged(inputs: Arrays) -> Arrays:
    return {"y": own(inputs)["y"] + 1e-3 * inputs["x"].mean(axis=0)}


def multiplied_away(inputs: Arrays) -> Arrays:
    """Zero times another row: harmless until that row holds NaN."""
    return {"y": own(inputs)["y"] + 0.0 * inputs["x"][:1]}


def counting(inputs: Arrays) -> Arrays:
    return {"y": own(inputs)["y"] + np.float32(len(inputs["x"]))}


def names_of_failures(run: Callable[[Arrays], Arrays]) -> set[str]:
    with np.errstate(all="ignore"):
        checks = check_isolation(FORM, run, SIZES)
    assert {check.kind for check in checks} == {"isolation"}
    return {check.name.partition(",")[0] for check in checks if not check.passed}


NUMBER = {"a row alone", "the first rows alone"}
STRANGERS = {"beside another row"}
GARBAGE = {"beside a row of nan", "beside a row of inf", "beside a row of -inf"}


@pytest.mark.parametrize(
    ("run", "failures"),
    [
        (own, set()),
        (shifted, {*NUMBER, "rows in another order", *STRANGERS, *GARBAGE}),
        (averaged, {*NUMBER, *STRANGERS, *GARBAGE}),
        (multiplied_away, GARBAGE),
        (counting, NUMBER),
    ],
)
def test_what_rows_learn_of_each_other_is_found(
    run: Callable[[Arrays], Arrays], failures: set[str]
) -> None:
    assert names_of_failures(run) >= failures
    assert bool(names_of_failures(run)) == bool(failures)
    if run in (multiplied_away, counting):
        assert names_of_failures(run) == failures


def test_a_run_that_fails_is_a_failed_check() -> None:
    def broken(inputs: Arrays) -> Arrays:
        raise RuntimeError("out of memory")

    checks = check_isolation(FORM, broken, SIZES)
    assert not any(check.passed for check in checks)
    assert checks[0].note == "nothing was compared: RuntimeError: out of memory"


@pytest.mark.parametrize(("run", "found"), [(own, False), (averaged, True), (counting, False)])
def test_a_batch_of_fixed_size_is_compared_with_its_like(
    run: Callable[[Arrays], Arrays], found: bool
) -> None:
    ports = [msgspec.structs.replace(port, shape=[4, "T", 3]) for port in (X, Y)]
    fixed = Form(record=FORM.record, inputs=ports[:1], outputs=ports[1:])
    with np.errstate(all="ignore"):
        checks = check_isolation(fixed, run, {"T": 4})
    assert len(checks) == 5
    assert any(not check.passed for check in checks) == found


def test_a_single_row_has_nobody_to_be_isolated_from() -> None:
    ports = [msgspec.structs.replace(port, shape=[1, "T", 3]) for port in (X, Y)]
    alone = Form(record=FORM.record, inputs=ports[:1], outputs=ports[1:])
    assert check_isolation(alone, own, {"T": 4}) == []
