from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnport.artifact.load import Artifact
from rnnport.errors import ArtifactDamaged, InputError, NotStreamable, UsageError
from rnnport.runtime.buffers import DeviceMemory
from rnnport.runtime.runner import Runner, load
from rnnport.runtime.stepper import Stepper
from rnnport.spec import Port
from tests.runtime.streams import (
    NAMES,
    at,
    chunk,
    cut,
    fixed,
    flat,
    joined,
    ports,
    runner,
    same,
    timed_outputs,
)
from tests.tiny_streams import GRAPHS, F, U, counter, stream_artifact


def stepper(name: str, batch: int = 2, seed: int = 0) -> Stepper:
    return runner(name).stepper(batch, fixed=fixed(name, batch, seed=seed))


def message(error: Any) -> str:
    return str(error.value)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "one_step"])
def test_one_chunk_is_what_the_model_gives_for_the_whole(name: str) -> None:
    x, extra = chunk(name, 3, 7), fixed(name, 3) or {}
    same(stepper(name, 3).feed(**x), runner(name).run(**x, **extra))


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    batch=st.integers(1, 4),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
def test_whole_is_any_chunking_is_steps(
    name: str, batch: int, lengths: list[int], seed: int
) -> None:
    total = sum(lengths)
    x = chunk(name, batch, total, seed)
    whole, pieces, steps = (stepper(name, batch, seed) for _ in range(3))
    expected = whole.feed(**x)
    ends = np.cumsum(lengths)
    parts = [
        pieces.feed(**cut(x, int(end) - n, int(end))) for n, end in zip(lengths, ends, strict=True)
    ]
    same(joined(parts, name), expected)
    for step in range(total):
        y = steps.step(**at(x, step))
    timed = zip(flat(expected), timed_outputs(name), strict=True)
    same(tuple(flat(y)), tuple(array[:, -1] if t else array for array, t in timed))
    for one in (pieces, steps):
        for key, value in whole.state.items():
            np.testing.assert_allclose(one.state[key], value, atol=1e-6)


def test_every_way_to_step_one_input() -> None:
    x = np.random.default_rng(0).standard_normal((2, F)).astype(np.float32)
    expected = stepper("lstm").step(x)
    assert (expected.shape, expected.dtype) == ((2, U), np.float32)
    strided = np.repeat(x, 2, axis=1)[:, ::2]
    for again in (x.tolist(), x.astype(np.float64), np.asfortranarray(x), strided, {"x": x}):
        np.testing.assert_array_equal(stepper("lstm").step(again), expected)
    np.testing.assert_array_equal(stepper("lstm").step(x=x), expected)
    np.testing.assert_array_equal(stepper("lstm").feed(x[:, None])[:, 0], expected)


def test_nested_inputs_and_outputs() -> None:
    x = chunk("pair", 2, 5)
    by_name = stepper("pair").feed(**x)
    assert list(by_name) == ["all", "end"]
    same(stepper("pair").feed({"video": x["left"], "words": x["tokens"]}), by_name)
    same(stepper("pair").feed(x["left"], x["tokens"]), by_name)
    assert stepper("pair").step(**at(x, 0))["all"].shape == (2, U)


def test_inputs_in_order_leave_the_fixed_ones_out() -> None:
    x = chunk("speaker", 2, 5)["x"]
    same(stepper("speaker").feed([x]), stepper("speaker").feed(x))


def test_outputs_are_the_callers_own() -> None:
    one = stepper("lstm")
    x = np.ones((2, F), np.float32)
    first = one.step(x)
    kept = first.copy()
    one.step(x)
    np.testing.assert_array_equal(first, kept)
    first[:] = 9
    assert not np.array_equal(one.step(x), first)


def test_ids_are_steps_of_one_axis() -> None:
    one = stepper("embedded")
    assert one.step(np.array([1, 2])).shape == (2, U)
    assert one.step([1, 2]).shape == (2, U)


def test_state_is_a_copy_and_can_be_set() -> None:
    one, two = stepper("lstm"), stepper("lstm")
    x = chunk("lstm", 2, 5)["x"]
    one.feed(x)
    state = one.state
    assert sorted(state) == ["lstm_c", "lstm_h"]
    two.state = state
    state["lstm_h"][:] = 7
    np.testing.assert_array_equal(one.step(x[:, 0]), two.step(x[:, 0]))


def test_states_of_other_dtypes() -> None:
    one = stepper("counter")
    assert {name: array.dtype.name for name, array in one.state.items()} == {
        "count": "int64",
        "begun": "bool",
    }
    one.feed(np.zeros((2, 5, F)))
    np.testing.assert_array_equal(one.state["count"], [5, 5])
    np.testing.assert_array_equal(one.state["begun"], [True, True])
    np.testing.assert_array_equal(one.step(np.zeros((2, F))), np.full((2, F), 5))


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    one = stepper("lstm")
    one.step(np.ones((2, F), np.float32))
    before = one.state
    with pytest.raises(InputError) as caught:
        one.state = {"lstm_h": np.zeros((2, U)), "other": np.zeros(2)}
    assert message(caught) == (
        "state 'other' | received: an unknown name | expected: states named "
        "['lstm_h', 'lstm_c'] | remedy: leave it out\n"
        "state 'lstm_h' | received: float64 (2, 4) | expected: float32 (2, 4) | "
        "remedy: pass what .state gave\n"
        "state 'lstm_c' | received: nothing | expected: float32 (2, 4) | "
        "remedy: pass every state"
    )
    for name, array in before.items():
        np.testing.assert_array_equal(one.state[name], array)


def test_reset_all_and_some() -> None:
    one, fresh = stepper("lstm", 3), stepper("lstm", 3)
    x = chunk("lstm", 3, 5)["x"]
    for rows, expected in ((1, [1]), ([0, 2], [0, 2]), (np.array([True, False, True]), [0, 2])):
        one.feed(x)
        kept = one.state["lstm_h"]
        one.reset(rows)
        h = one.state["lstm_h"]
        others = [row for row in range(3) if row not in expected]
        assert not h[expected].any()
        np.testing.assert_array_equal(h[others], kept[others])
    one.reset()
    same(one.feed(x), fresh.feed(x), 0)
    one.reset([])
    assert one.state["lstm_h"].any()


def test_fixed_inputs_stay_until_they_are_replaced() -> None:
    x = chunk("speaker", 2, 3)["x"]
    a, b = fixed("speaker", 2, seed=1), fixed("speaker", 2, seed=2)
    one = runner("speaker").stepper(2, fixed=a)
    with_a = one.feed(x)
    one.reset()
    same(one.feed(x), with_a, 0)
    one.reset([1], fixed={"speaker": b["speaker"][1:]})
    one.reset([0])
    with_b = runner("speaker").stepper(2, fixed=b).feed(x)
    found = one.feed(x)
    np.testing.assert_array_equal(found[0], with_a[0])
    np.testing.assert_array_equal(found[1], with_b[1])


def test_a_state_may_start_from_an_input() -> None:
    x, h0 = chunk("started", 2, 3), fixed("started", 2)
    same(stepper("started").feed(**x), runner("started").run(x["x"], h0["h0"]))
    from_zeros = runner("started").stepper(2)
    assert not from_zeros.state["gru_h"].any()
    from_zeros.reset([1], fixed={"h0": h0["h0"][1:]})
    np.testing.assert_array_equal(from_zeros.state["gru_h"][1], h0["h0"][1])
    assert not from_zeros.state["gru_h"][0].any()


def test_fixed_inputs_that_do_not_fit() -> None:
    with pytest.raises(InputError) as caught:
        runner("speaker").stepper(2)
    assert message(caught) == (
        "fixed input 'speaker' | received: nothing | expected: float32 (B, 4) | "
        "remedy: pass fixed={'speaker': …}"
    )
    with pytest.raises(InputError) as caught:
        runner("speaker").stepper(2, fixed={"speaker": np.zeros((3, 4)), "voice": 1})
    assert message(caught) == (
        "fixed input 'voice' | received: an unknown name | expected: one of 'speaker' | "
        "remedy: leave it out\n"
        "input 'speaker', axis 0 | received: size 3 in float32 (3, 4) | expected: size 2, one row "
        "for each of the stepper's rows | remedy: make another stepper for another batch size; "
        "nothing was reset in this one"
    )
    with pytest.raises(InputError, match=r"expected: none: this model has none"):
        runner("lstm").stepper(fixed={"speaker": np.zeros((1, 4))})
    with pytest.raises(InputError, match=r"fixed \| received: list \| expected: a dict"):
        runner("speaker").stepper(fixed=[1])
    with pytest.raises(InputError) as caught:
        stepper("speaker").step(np.zeros((2, F)), speaker=np.zeros((2, U)))
    assert message(caught) == (
        "input 'speaker' | received: given with a step | expected: once for the whole stream | "
        "remedy: pass fixed={'speaker': …} where the stream is made or reset"
    )


def test_another_batch_size_is_an_error_and_resets_nothing() -> None:
    one = stepper("lstm")
    one.step(np.ones((2, F), np.float32))
    blob = one.snapshot()
    for call, shape in ((one.step, (3, F)), (one.feed, (3, 5, F))):
        with pytest.raises(InputError) as caught:
            call(np.zeros(shape, np.float32))
        assert message(caught) == (
            f"input 'x', axis 0 | received: size 3 in float32 {shape} | expected: size 2, one row "
            "for each of the stepper's rows | remedy: make another stepper for another batch "
            "size; nothing was reset in this one"
        )
    assert one.snapshot() == blob


@pytest.mark.parametrize("name", NAMES)
def test_empty_chunks_never_reach_onnxruntime(name: str) -> None:
    one = stepper(name)
    for batch, time in ((0, 3), (2, 0), (0, 0)):
        with pytest.raises(InputError, match="is empty"):
            one.feed(**zeros(name, batch, time))
    with pytest.raises(InputError, match="is empty"):
        one.step(**at(zeros(name, 0, 1), 0))


def zeros(name: str, batch: int, time: int) -> dict[str, np.ndarray]:
    sizes = {"B": batch, "T": time}
    return {p.name: np.zeros([sizes.get(a, a) for a in p.shape], p.dtype) for p in ports(name)}


def test_steps_that_do_not_fit() -> None:
    one = stepper("lstm")
    with pytest.raises(InputError) as caught:
        one.step(np.zeros((2, 1, F), np.float32))
    assert message(caught) == (
        "input 'x' | received: float32 (2, 1, 3) | expected: float32 (B, 3) | "
        "remedy: pass an array of 2 axes"
    )
    with pytest.raises(InputError, match=r"expected: float32 \(B, T, 3\)"):
        one.feed(np.zeros((2, F), np.float32))
    with pytest.raises(InputError, match="given by position and by name"):
        one.step(np.zeros((2, F)), x=np.zeros((2, F)))


def test_rows_that_are_not_there() -> None:
    for rows in (2, [0, 5], [0.5], np.ones(3, bool), "all", [[0]]):
        with pytest.raises(InputError, match=r"^rows \| .*row numbers below 2, or a mask"):
            stepper("lstm").reset(rows)


def test_what_onnxruntime_refuses_changes_no_state() -> None:
    one = stepper("embedded")
    one.feed(**chunk("embedded", 2, 4))
    blob = one.snapshot()
    for call, ids in ((one.step, [1, 9]), (one.feed, [[1, 2], [1, 9]])):
        with pytest.raises(InputError, match="out of data bounds") as caught:
            call(np.array(ids))
        assert caught.value.reasons[0].subject == "run of stream.onnx"
    assert one.snapshot() == blob


def test_a_timeless_chunk_that_fails_midway_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = stepper("one_step")
    one.feed(**chunk("one_step", 2, 3))
    blob = one.snapshot()
    real, calls = one._step, []

    def fails_third(arrays: Any) -> Any:
        calls.append(0)
        if len(calls) == 3:
            raise InputError.of("run", "no", "yes", "none")
        return real(arrays)

    monkeypatch.setattr(one, "_step", fails_third)
    with pytest.raises(InputError):
        one.feed(**chunk("one_step", 2, 5))
    assert one.snapshot() == blob


@pytest.mark.parametrize("name", NAMES)
def test_states_on_a_device(name: str) -> None:
    """The memory that CUDA uses, here with the CPU as the device."""
    runner(name).stepper(2, fixed=fixed(name, 2))
    sessions = runner(name)._streaming
    assert sessions is not None
    device = Stepper(sessions, 2, fixed(name, 2), memory=DeviceMemory("cpu"))
    host = stepper(name)
    x = chunk(name, 2, 6)
    for both in (cut(x, 0, 3), cut(x, 3, 6)):
        same(device.feed(**both), host.feed(**both), 0)
        same(device.step(**at(x, 0)), host.step(**at(x, 0)), 0)
    device.reset([1])
    host.reset([1])
    assert device.snapshot() == host.snapshot()
    device.restore(host.snapshot())
    assert device.snapshot() == host.snapshot()


def test_threads_take_turns() -> None:
    one = stepper("counter", 1)
    x = np.zeros((1, F), np.float32)
    threads = [threading.Thread(target=lambda: [one.step(x) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one.state["count"].tolist() == [800]


def test_sessions_are_opened_when_needed_and_shared(tmp_path: Path) -> None:
    one = load(stream_artifact(tmp_path / "out", GRAPHS["lstm"]()), provider="cpu")
    one.run(np.zeros((1, 2, F)))
    assert one._streaming is None
    steppers = [one.stepper(), one.stepper(2), one.stepper(64)]
    sessions = [s._session for s in steppers]
    assert sessions[0] is sessions[1]
    assert sessions[0].get_session_options().intra_op_num_threads == 1
    assert sessions[2].get_session_options().intra_op_num_threads == 0
    asked = load(one._artifact, provider="cpu", threads=2).stepper()
    assert asked._session.get_session_options().intra_op_num_threads == 2


def test_a_model_of_one_batch_size(tmp_path: Path) -> None:
    one = load(stream_artifact(tmp_path / "out", counter(2)), provider="cpu")
    assert one.stepper(2).step(np.zeros((2, F))).shape == (2, F)
    with pytest.raises(NotStreamable) as caught:
        one.stepper()
    assert message(caught) == (
        "stepper | received: batch size 1 | expected: batch size 2: the model takes no other | "
        "remedy: runner.stepper(2), or export a model whose batch size is None"
    )
    for open_pool in (one.pool, one.streams):
        with pytest.raises(NotStreamable, match="received: batch size any"):
            open_pool()


@pytest.mark.parametrize("batch", [0, -1, True, 1.5, "2", None])
def test_batch_sizes_that_make_no_sense(batch: Any) -> None:
    with pytest.raises(UsageError) as caught:
        runner("lstm").stepper(batch)
    assert message(caught) == (
        f"batch_size | received: {batch!r} | expected: a whole number from 1 up | "
        "remedy: pass a positive int"
    )


def doctored(out: Path, name: str, **changes: Any) -> Runner:
    """A runner whose manifest says something else of its stream form."""
    artifact = stream_artifact(out, GRAPHS[name]())
    form = msgspec.structs.replace(artifact.manifest.forms["stream"], **changes)
    forms = {**artifact.manifest.forms, "stream": form}
    manifest = msgspec.structs.replace(artifact.manifest, forms=forms)
    return load(Artifact.of(artifact.path, manifest), provider="cpu", threads=1)


def test_a_graph_that_is_not_the_manifests(tmp_path: Path) -> None:
    """Hashes fit, names do not: nothing may be bound to the wrong memory."""
    states = runner("lstm").manifest.forms["stream"].states
    with pytest.raises(ArtifactDamaged, match=r"stream.onnx, inputs \| received: \['lstm_c_in'"):
        doctored(tmp_path / "out", "lstm", states=states[:1]).stepper()


def test_outputs_whose_size_is_not_known_beforehand(tmp_path: Path) -> None:
    outputs = [Port(name="y", dtype="float32", shape=["B", "T", "K"])]
    other, x = doctored(tmp_path / "out", "lstm", outputs=outputs), chunk("lstm", 2, 5)["x"]
    one, plain = other.stepper(2), stepper("lstm")
    for time in (3, 2, 3):
        same(one.feed(x[:, :time]), plain.feed(x[:, :time]), 0)
        same(one.step(x[:, 0]), plain.step(x[:, 0]), 0)
    pool = other.pool()
    ids = [pool.open(), pool.open()]
    fresh = stepper("lstm")
    same(pool.step(ids, x[:, 0]), fresh.step(x[:, 0]), 0)
    same(np.stack(pool.feed(ids, x)), fresh.feed(x), 0)


def test_fixed_inputs_whose_size_varies(tmp_path: Path) -> None:
    form = runner("speaker").manifest.forms["stream"]
    inputs = [form.inputs[0], msgspec.structs.replace(form.inputs[1], shape=["B", "S"])]
    other = doctored(tmp_path / "out", "speaker", inputs=inputs)
    with pytest.raises(NotStreamable) as caught:
        other.stepper(fixed={"speaker": np.zeros((1, U))})
    assert message(caught) == (
        "speaker | received: shape ['B', 'S'] | expected: one size in every call | "
        "remedy: use runner.run"
    )


def test_repr() -> None:
    assert repr(stepper("lstm")) == "<Stepper of 2, states lstm_h, lstm_c>"
