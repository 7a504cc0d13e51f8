"""The streaming law's own check, held against runs written in NumPy: right ones and broken ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnport.parity.streaming import check_streaming, cuts, random_lengths
from rnnport.spec import FileRecord, Form, Port, Sampling, State

Arrays = Mapping[str, Any]
X = Port(name="x", dtype="float32", shape=["B", "T", 3], sampling=Sampling())
SUMS = Port(name="sums", dtype="float32", shape=["B", "T", 3])
TOTAL = Port(name="total", dtype="float32", shape=["B", 3])
SUM = State(input="sum_in", output="sum_out", dtype="float32", shape=["B", 3])
RECORD = FileRecord(file="x.onnx", size=0, sha256="")


def form(outputs: list[Port], states: list[State]) -> Form:
    return Form(record=RECORD, inputs=[X], outputs=outputs, states=states)


def whole(inputs: Arrays) -> Arrays:
    sums = np.cumsum(inputs["x"], axis=1, dtype=np.float32)
    return {"sums": sums, "total": sums[:, -1]}


def stream(inputs: Arrays) -> Arrays:
    sums = whole(inputs)["sums"] + inputs["sum_in"][:, None]
    return {"sums": sums, "total": sums[:, -1], "sum_out": sums[:, -1]}


def forgetful(inputs: Arrays) -> Arrays:
    return {**stream(inputs), "sum_out": np.zeros_like(inputs["sum_in"])}


def wrong_at_the_end(inputs: Arrays) -> Arrays:
    given = stream(inputs)
    return {**given, "total": given["total"] + np.float32(0.01)}


def too_short(inputs: Arrays) -> Arrays:
    given = stream(inputs)
    return {**given, "sums": given["sums"][:, 1:]}


def failing(inputs: Arrays) -> Arrays:
    raise RuntimeError("no such row")


def check(run: Callable[[Arrays], Arrays]) -> list[Any]:
    model, streamed = form([SUMS, TOTAL], []), form([SUMS, TOTAL], [SUM])
    return check_streaming(model, streamed, whole, run, cuts(model, streamed))


def test_a_right_stream_passes_every_row() -> None:
    rows = check(stream)
    assert [row.output for row in rows] == ["sums", "total"] * 2
    assert all(row.passed for row in rows)


@pytest.mark.parametrize(
    ("broken", "outputs", "note"),
    [
        (forgetful, {"sums", "total"}, ""),
        (wrong_at_the_end, {"total"}, ""),
        (too_short, {"sums"}, "received float32"),
        (failing, {"sums", "total"}, "nothing was compared: RuntimeError: no such row"),
    ],
)
def test_a_broken_stream_fails(
    broken: Callable[[Arrays], Arrays], outputs: set[str], note: str
) -> None:
    failed = [row for row in check(broken) if not row.passed]
    assert {row.output for row in failed} == outputs
    assert all(row.note.startswith(note) for row in failed)


@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_lengths_cut_all_of_it(time: int, seed: int) -> None:
    lengths = random_lengths(time, np.random.default_rng(seed))
    assert sum(lengths) == time
    assert min(lengths) >= 1


def test_cuts_hold_every_mask_and_single_steps() -> None:
    masked = msgspec.structs.replace(X, sampling=Sampling(mask_value=0.0))
    model = Form(record=RECORD, inputs=[masked], outputs=[SUMS])
    streamed = Form(record=RECORD, inputs=[masked], outputs=[SUMS], states=[SUM])
    found = cuts(model, streamed)
    names = " ".join(cut.name for cut in found)
    assert all(kind in names for kind in ("right mask", "left mask", "interior", "empty row"))
    assert any(set(cut.lengths) == {1} for cut in found)
    assert all(cut.inputs["x"].shape[1] == sum(cut.lengths) for cut in found)
