"""Parts of a batch side by side, and outputs written again: the same numbers, nothing shared."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import ModelProto, helper

from rnnport.artifact.load import Artifact
from rnnport.errors import InputError
from rnnport.runtime.crew import cores
from rnnport.runtime.runner import Runner
from rnnport.runtime.session import open_session
from rnnport.spec import FileRecord, Form, Manifest, Port, Sampling, Streamable
from tests.runtime.seq2seq import message
from tests.tiny import leaf, make_model

X = Port(name="x", dtype="float32", shape=["B", "T", 3], sampling=Sampling())
IDS = Port(name="x", dtype="int64", shape=["B", "T"], sampling=Sampling(kind="ids", high=4))
Y = Port(name="y", dtype="float32", shape=["B", "T", 5])
LAST = Port(name="last", dtype="float32", shape=["B", 5])
# As of a layer much larger than it is, so that small batches are cut.
CLAIMED = {"GRU": [400_000]}


def gru() -> ModelProto:
    """x (B, T, 3) to y (B, T, 5) and the last output (B, 5)."""
    rng = np.random.default_rng(3)
    weights = {
        "W": rng.standard_normal((1, 15, 3)).astype(np.float32),
        "R": rng.standard_normal((1, 15, 5)).astype(np.float32),
        "one": np.array([1]),
        "zero": np.array([0]),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["xt"], perm=[1, 0, 2]),
        helper.make_node("GRU", ["xt", "W", "R"], ["yt", "h"], hidden_size=5),
        helper.make_node("Squeeze", ["yt", "one"], ["ys"]),
        helper.make_node("Transpose", ["ys"], ["y"], perm=[1, 0, 2]),
        helper.make_node("Squeeze", ["h", "zero"], ["last"]),
    ]
    return make_model(nodes, [X], [Y, LAST], weights)


def table() -> ModelProto:
    """Ids (B, T) to rows of a table (B, T, 5)."""
    rows = np.arange(20, dtype=np.float32).reshape(4, 5)
    return make_model(
        [helper.make_node("Gather", ["table", "x"], ["y"])], [IDS], [Y], {"table": rows}
    )


def runner_of(
    folder: Path, model: ModelProto, x: Port, outputs: list[Port], *, cut: bool = True, **facts: Any
) -> Runner:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    record = FileRecord(file="model.onnx", size=1, sha256="")
    names = [port.name for port in outputs]
    structure = leaf("y")
    if len(names) > 1:
        structure = msgspec.structs.replace(
            structure, kind="tuple", name="", items=[leaf(name) for name in names]
        )
    weights = CLAIMED if cut else {}
    form = Form(record=record, inputs=[x], outputs=outputs, step_weights=weights)
    manifest = Manifest(
        name="rows",
        versions={},
        source={},
        target="cpu",
        opset=18,
        forms={"model": form},
        input_structure=leaf("x"),
        output_structure=structure,
        golden=record,
        streamable=Streamable(ok=False),
        **facts,
    )
    return Runner(Artifact.of(folder, manifest), open_session(path, threads=2), "cpu", threads=2)


@pytest.fixture(params=[True, False], ids=["parts", "whole"])
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Runner:
    return runner_of(tmp_path, gru(), X, [Y, LAST], cut=request.param)


def draw(batch: int, time: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((batch, time, 3)).astype(np.float32)


def expected(runner: Runner, x: Any) -> list[Any]:
    return list(runner._session.run(None, {"x": x}))


def assert_right(runner: Runner, x: Any, received: Any) -> None:
    for one, other in zip(expected(runner, x), received, strict=True):
        assert (other.dtype, other.shape) == (one.dtype, one.shape)
        np.testing.assert_allclose(other, one, atol=1e-6)


def parts_of(runner: Runner, x: Any) -> int:
    assert runner._rows is not None
    return len(runner._rows.layout({"x": x}).parts)


def test_batches_are_cut(tmp_path: Path) -> None:
    cut = runner_of(tmp_path, gru(), X, [Y, LAST])
    assert [parts_of(cut, draw(b, 20)) for b in (1, 7, 8, 65)] == [0, 0, 2, 2]
    mixing = runner_of(tmp_path, gru(), X, [Y, LAST], mixes_rows=True)
    assert parts_of(mixing, draw(65, 20)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (8, 20), (9, 50), (33, 70), (64, 200)])
def test_the_same_numbers(runner: Runner, shape: tuple[int, int]) -> None:
    """The first run, the second, and those that are bound; and the same bits each time."""
    x = draw(*shape)
    first = runner.run(x)
    assert_right(runner, x, first)
    for _ in range(4):
        for one, other in zip(first, runner.run(x), strict=True):
            np.testing.assert_array_equal(one, other)
    flat = runner.run_named({"x": x})
    np.testing.assert_array_equal(flat["y"], first[0])


def test_what_was_given_out_is_never_written_again(runner: Runner) -> None:
    xs = [draw(16, 200, seed) for seed in range(12)]
    for x in xs[:3]:
        runner.run(x)
    assert runner._quick is not None
    kept = [runner.run(x) for x in xs]
    views = [runner.run(x)[0][3, ::7] for x in xs]  # the array itself is gone
    for x, outputs, view in zip(xs, kept, views, strict=True):
        assert_right(runner, x, outputs)
        np.testing.assert_allclose(view, expected(runner, x)[0][3, ::7], atol=1e-6)


def test_memory_that_nobody_holds_is_written_again(runner: Runner) -> None:
    x, seen = draw(16, 200), set()
    for _ in range(12):
        outputs = runner.run(x)
        seen.add(outputs[0].ctypes.data)
    assert len(seen) <= 5
    outputs[0][...] = 0  # the caller's own
    assert_right(runner, x, runner.run(x))


def test_inputs_wherever_they_lie(runner: Runner) -> None:
    wide = np.random.default_rng(1).standard_normal((16, 200, 6)).astype(np.float32)
    for x in [*[draw(16, 200)] * 3, wide[:, :, ::2], draw(16, 200, 5), wide[:, ::-1, 3:]]:
        assert_right(runner, np.ascontiguousarray(x), runner.run(x))


def test_several_threads(runner: Runner) -> None:
    xs = [draw(16, 200, seed) for seed in range(60)]
    runner.run(xs[0])
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(runner.run, xs))
    for x, outputs in zip(xs, found, strict=True):
        assert_right(runner, x, outputs)


@pytest.mark.skipif(cores() < 2, reason="one processor")
def test_sequences_of_many_lengths(runner: Runner) -> None:
    rows = [draw(1, 5 + k % 9, k)[0] for k in range(40)]
    for row, (y, last) in zip(rows, runner.run_many(rows), strict=True):
        whole = expected(runner, row[None])
        np.testing.assert_allclose(y, whole[0][0], atol=1e-6)
        np.testing.assert_allclose(last, whole[1][0], atol=1e-6)


def test_what_is_wrong_is_said_as_for_the_whole(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, table(), IDS, [Y])
    ids = np.zeros((40, 30), np.int64)
    for _ in range(3):
        assert runner.run(ids).tolist() == np.tile(np.arange(5.0), (40, 30, 1)).tolist()
        wrong = ids.copy()
        wrong[33, 3] = 9
        assert parts_of(runner, wrong) == 2
        said = message(lambda wrong=wrong: runner.run(wrong), InputError)  # type: ignore[misc]
        assert said.startswith("run of model.onnx | received: onnxruntime: ")
        assert "out of data bounds" in said
