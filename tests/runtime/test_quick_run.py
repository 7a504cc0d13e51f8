"""A shape that is run again takes a shorter way: same numbers, same errors, nothing shared."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from rnnport.artifact.load import Artifact
from rnnport.errors import InputError
from rnnport.runtime import quick_run
from rnnport.runtime.runner import Runner, load
from rnnport.runtime.session import open_session
from rnnport.spec import FileRecord, Form, Manifest, Port, Sampling, Streamable
from tests.runtime.seq2seq import message
from tests.tiny import leaf, make_model


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def bare(folder: Path, x: np.ndarray) -> np.ndarray:
    return np.asarray(open_session(folder / "model.onnx").run(None, {"x": x})[0])


def warmed(folder: Path, *shape: int) -> Runner:
    """A runner that has bound a shape."""
    runner = load(folder, provider="cpu")
    for seed in (1, 2):
        runner.run(draw(*shape, seed=seed))
    assert runner._quick is not None
    assert runner._quick.shape == shape
    return runner


def test_the_same_numbers(lstm_folder: Path) -> None:
    runner = warmed(lstm_folder, 2, 5, 3)
    for seed in range(4):
        x = draw(2, 5, 3, seed=seed)
        np.testing.assert_array_equal(runner.run(x), bare(lstm_folder, x))
    turned = draw(3, 5, 2).T
    np.testing.assert_array_equal(runner.run(turned), bare(lstm_folder, turned))


def test_what_was_given_out_stays_as_it_is(lstm_folder: Path) -> None:
    runner = warmed(lstm_folder, 2, 5, 3)
    x = draw(2, 5, 3)
    first = runner.run(x)
    kept, own = first.copy(), x.copy()
    second = runner.run(draw(2, 5, 3, seed=9))
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(x, own)
    assert np.abs(second - first).max() > 0.1
    assert not np.shares_memory(first, second)
    first[...] = 0
    np.testing.assert_array_equal(runner.run(x), kept)


def test_shapes_that_take_turns(lstm_folder: Path) -> None:
    runner = warmed(lstm_folder, 2, 5, 3)
    for shape in [(1, 1, 3), (2, 5, 3), (4, 2, 3), (4, 2, 3), (4, 2, 3), (2, 5, 3)]:
        x = draw(*shape)
        np.testing.assert_array_equal(runner.run(x), bare(lstm_folder, x))
    assert runner._quick is not None
    assert runner._quick.shape == (4, 2, 3)


@pytest.mark.parametrize(
    "given",
    [
        draw(2, 5, 3).astype(np.float64),
        draw(2, 5, 3).astype(">f4"),
        draw(2, 5, 3).tolist(),
        np.ma.masked_array(draw(2, 5, 3)),
        {"x": draw(2, 5, 3)},
    ],
    ids=["float64", "big endian", "lists", "masked", "dict"],
)
def test_other_ways_to_say_it(lstm_folder: Path, given: Any) -> None:
    runner = warmed(lstm_folder, 2, 5, 3)
    bound = runner._quick
    for _ in range(3):
        np.testing.assert_array_equal(runner.run(given), bare(lstm_folder, draw(2, 5, 3)))
    assert runner._quick is bound


def test_errors_are_those_of_the_usual_way(lstm_folder: Path) -> None:
    runner = warmed(lstm_folder, 2, 5, 3)
    assert message(lambda: runner.run(np.zeros((2, 5, 3), complex)), InputError) == (
        "input 'x' | received: complex128 (2, 5, 3) | expected: float32 (B, T, 3) | "
        "remedy: pass an array of numbers"
    )
    assert "give axis 2 size 3" in message(lambda: runner.run(draw(2, 5, 4)), InputError)


def test_several_threads(lstm_folder: Path) -> None:
    runner = warmed(lstm_folder, 2, 5, 3)
    xs = [draw(2, 5, 3, seed=seed) for seed in range(200)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(runner.run, xs))
    session = open_session(lstm_folder / "model.onnx")
    for x, y in zip(xs, found, strict=True):
        np.testing.assert_array_equal(y, session.run(None, {"x": x})[0])


def test_two_inputs_are_not_bound(pair: Artifact) -> None:
    runner = load(pair, provider="cpu")
    for _ in range(3):
        runner.run(draw(2, 5, 2), np.zeros((2, 5), np.int64))
    assert runner._quick is None


def test_huge_outputs_are_not_bound(lstm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_run, "_LARGE", 1 << 16)
    runner = load(lstm_folder, provider="cpu")
    for _ in range(3):
        runner.run(draw(40, 300, 3))
    assert runner._quick is None


IDS = Port(name="x", dtype="int64", shape=["B", "T"], sampling=Sampling(kind="ids", high=4))


def of_ids(folder: Path, nodes: list[Any], y: Port) -> Runner:
    """A runner of a graph that takes ids from 0 to 3."""
    model = make_model(nodes, [IDS], [y], {"table": np.arange(8, dtype=np.float32).reshape(4, 2)})
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    record = FileRecord(file="model.onnx", size=1, sha256="")
    manifest = Manifest(
        name="ids",
        versions={},
        source={},
        target="portable",
        opset=18,
        forms={"model": Form(record=record, inputs=[IDS], outputs=[y])},
        input_structure=leaf("x"),
        output_structure=leaf("y"),
        golden=record,
        streamable=Streamable(ok=False),
    )
    artifact = Artifact.of(folder, manifest)
    return Runner(artifact, open_session(folder / "model.onnx"), "cpu")


def test_ids_out_of_range(tmp_path: Path) -> None:
    y = Port(name="y", dtype="float32", shape=["B", "T", 2])
    runner = of_ids(tmp_path, [helper.make_node("Gather", ["table", "x"], ["y"])], y)
    for _ in range(2):
        runner.run(np.array([[1, 2]]))
    assert runner._quick is not None
    said = message(lambda: runner.run(np.array([[1, 9]])), InputError)
    assert said.startswith("run of model.onnx | received: onnxruntime: ")
    assert "out of data bounds" in said
    assert runner.run(np.array([[3, 0]])).tolist() == [[[6, 7], [0, 1]]]


def test_shapes_that_depend_on_values_are_not_bound(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["b"], to=TensorProto.BOOL),
        helper.make_node("NonZero", ["b"], ["y"]),
    ]
    runner = of_ids(tmp_path, nodes, Port(name="y", dtype="int64", shape=[2, "N"]))
    for _ in range(3):
        assert runner.run(np.array([[0, 2]])).tolist() == [[0], [1]]
    assert runner.run(np.array([[1, 2]])).tolist() == [[0, 0], [0, 1]]
    assert runner._quick is None
