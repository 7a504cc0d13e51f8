"""How a run is spread over the cores: by sizes alone, and only where rows keep apart."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from rnnport.runtime.layout import WHOLE, Layout, Spread
from rnnport.spec import FileRecord, Form, Port

GRU = {"GRU": [73_728]}
LSTM = {"LSTM": [98_304]}


def form(
    weights: dict[str, list[int]],
    *,
    ports: Any = (["B", "T", 64], ["B", "T", 128]),
    size: int = 1 << 30,
) -> Form:
    x, y = ports
    return Form(
        record=FileRecord(file="model.onnx", size=size, sha256=""),
        inputs=[Port(name="x", dtype="float32", shape=x)],
        outputs=[Port(name="y", dtype="float32", shape=y)],
        step_weights=weights,
    )


def spread(weights: dict[str, list[int]], threads: int = 2, **options: Any) -> Spread:
    given_form = form(weights, **{k: options.pop(k) for k in ("ports", "size") if k in options})
    return Spread(given_form, threads, mixes_rows=options.pop("mixes_rows", False), **options)


@pytest.mark.parametrize(
    ("batch", "time", "layout"),
    [
        (1, 1, Layout(one_thread=True)),
        (8, 1, Layout(one_thread=True)),
        (32, 1, WHOLE),
        (8, 100, Layout(((0, 4), (4, 8)), one_thread=True)),
        (9, 100, Layout(((0, 4), (4, 9)), one_thread=True)),
        (128, 100, Layout(((0, 64), (64, 128)), one_thread=True)),
    ],
)
def test_gru(batch: int, time: int, layout: Layout) -> None:
    assert spread(GRU).layout({"B": batch, "T": time}) == layout


def test_lstm_shares_its_rows_out_itself() -> None:
    assert spread(LSTM).layout({"B": 128, "T": 100}) == WHOLE
    assert spread(LSTM).layout({"B": 1, "T": 100}) == Layout(one_thread=True)
    assert spread(LSTM).layout({"B": 2, "T": 100}) == WHOLE
    assert spread({"LSTM": [6_144]}).layout({"B": 4, "T": 100}) == Layout(one_thread=True)
    assert spread({"LSTM": [393_216]}).layout({"B": 1, "T": 100}) == WHOLE
    assert spread({"LSTM": [6_144]}).layout({"B": 8, "T": 100}) == WHOLE
    mostly_gru = {**GRU, "LSTM": [10_000]}
    assert len(spread(mostly_gru).layout({"B": 32, "T": 100}).parts) == 2


def test_very_many_steps_of_an_lstm_run_in_parts_one_after_the_other() -> None:
    found = spread(LSTM).layout({"B": 128, "T": 500})
    assert found == Layout(((0, 32), (32, 64), (64, 96), (96, 128)))
    assert spread(LSTM).layout({"B": 32, "T": 5000}) == WHOLE
    assert spread(LSTM, mixes_rows=True).layout({"B": 128, "T": 500}) == WHOLE


def test_weights_beyond_a_cores_cache_ask_for_more_rows() -> None:
    large = spread({"GRU": [1_179_648]})
    assert large.layout({"B": 8, "T": 100}) == WHOLE
    assert len(large.layout({"B": 32, "T": 100}).parts) == 2
    convolved = spread({"Scan": [1_179_648]}, size=10_000)
    assert len(convolved.layout({"B": 8, "T": 100}).parts) == 2
    outside = msgspec.structs.replace(
        form({"GRU": [1_179_648]}, size=10_000),
        data=[FileRecord(file="model.onnx.data", size=1 << 30, sha256="")],
    )
    assert Spread(outside, 2, mixes_rows=False).layout({"B": 8, "T": 100}) == WHOLE


def test_rows_that_influence_one_another_stay_together() -> None:
    assert not spread(GRU, mixes_rows=True).layout({"B": 128, "T": 100}).parts


@pytest.mark.parametrize("ports", [(["T", "B", 3], ["B", 4]), (["B", 3], [1, 4])])
def test_a_batch_that_is_not_in_front(ports: Any) -> None:
    assert not spread(GRU, ports=ports).layout({"B": 128, "T": 100}).parts


def test_nothing_to_choose() -> None:
    assert spread({}).always_whole  # also an artifact of before there were step_weights
    assert spread(GRU, threads=1).always_whole


@given(
    batch=st.integers(1, 300),
    time=st.integers(1, 600),
    threads=st.integers(2, 64),
    weights=st.integers(1, 3_000_000),
)
def test_parts_cover_the_batch(batch: int, time: int, threads: int, weights: int) -> None:
    sizes = {"B": batch, "T": time}
    found = spread({"GRU": [weights]}, threads).layout(sizes)
    assert found == spread({"GRU": [weights]}, threads).layout(sizes)
    if found.parts:
        assert 1 < len(found.parts) <= threads
        assert [row for start, stop in found.parts for row in range(start, stop)] == list(
            range(batch)
        )
        assert min(stop - start for start, stop in found.parts) >= 4


def test_the_manifest_keeps_it() -> None:
    written = msgspec.json.encode(form(GRU))
    assert msgspec.json.decode(written, type=Form).step_weights == GRU
