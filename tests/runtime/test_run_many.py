"""run_many over models in NumPy that say how they were called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnport.artifact.load import Artifact
from rnnport.errors import InputError, UsageError
from rnnport.runtime.runner import Runner, load
from rnnport.spec import FileRecord, FixedAxis, Form, Manifest, Port, Sampling, Streamable
from tests.runtime.seq2seq import message
from tests.tiny import leaf

RECORD = FileRecord(file="model.onnx", size=1, sha256="")
X = Port(name="x", dtype="float32", shape=["B", "T", 2], sampling=Sampling(mask_value=-1.0))
Y = Port(name="y", dtype="float32", shape=["B", "T", 2])
LAST = Port(name="last", dtype="float32", shape=["B", 2])


class Calls:
    """A session that notes the shapes it was given."""

    def __init__(self, model: Callable[..., Any]) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self._model = model

    def run(self, names: Sequence[str], feeds: Mapping[str, Any]) -> list[Any]:
        self.shapes.append(next(iter(feeds.values())).shape)
        made = self._model(**feeds)
        return [made[name] for name in names]


def runner(
    model: Callable[..., Any],
    inputs: Sequence[Port] = (X,),
    outputs: Sequence[Port] = (Y,),
    pads: Sequence[str] = (),
    **more: Any,
) -> tuple[Runner, Calls]:
    form = Form(record=RECORD, inputs=list(inputs), outputs=list(outputs), pads=list(pads))
    structures = {"input_structure": leaf("x"), "output_structure": leaf(outputs[0].name), **more}
    manifest = Manifest(
        name="numpy",
        versions={},
        source={},
        target="portable",
        opset=18,
        forms={"model": form},
        golden=RECORD,
        streamable=Streamable(ok=False),
        **structures,
    )
    calls = Calls(model)
    return Runner(Artifact.of(Path("numpy"), manifest), calls, "cpu"), calls


def running(x: np.ndarray) -> dict[str, np.ndarray]:
    return {"y": x.cumsum(1)}


def summed(x: np.ndarray) -> dict[str, np.ndarray]:
    return {"last": x.sum(1)}


def rows(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((n, 2)).astype(np.float32) for n in lengths]


def test_longest_first_padded_and_each_cut_to_its_own_length() -> None:
    many, calls = runner(running, pads=["T"])
    given = rows(9, 1, 10, 8, 2, 10)
    found = many.run_many(given)
    assert calls.shapes == [(4, 10, 2), (1, 2, 2), (1, 1, 2)]
    for x, y in zip(given, found, strict=True):
        np.testing.assert_array_equal(y, x.cumsum(0))
        assert y.base is None


def test_without_pads_only_rows_of_equal_length_share_a_run() -> None:
    many, calls = runner(summed, outputs=[LAST])
    given = rows(3, 2, 3, 4, 2, 3)
    found = many.run_many(given, waste=0.9)
    assert sorted(calls.shapes) == [(1, 4, 2), (2, 2, 2), (3, 3, 2)]
    for x, y in zip(given, found, strict=True):
        np.testing.assert_allclose(y, x.sum(0), atol=1e-6)


def test_no_more_rows_than_max_batch() -> None:
    many, calls = runner(running, pads=["T"])
    many.run_many(rows(*[5] * 7), max_batch=3)
    assert calls.shapes == [(3, 5, 2), (3, 5, 2), (1, 5, 2)]


def test_waste() -> None:
    many, calls = runner(running, pads=["T"])
    many.run_many(rows(4, 2), waste=0.25)
    many.run_many(rows(4, 2), waste=0.24)
    assert calls.shapes == [(2, 4, 2), (1, 4, 2), (1, 2, 2)]


def test_nothing_gives_nothing() -> None:
    many, calls = runner(running, pads=["T"])
    assert many.run_many([]) == []
    assert many.run_many(iter(rows(2)))[0].shape == (2, 2)
    assert calls.shapes == [(1, 2, 2)]


def test_a_sequence_all_masked_shares_no_padding() -> None:
    def mean(x: np.ndarray) -> dict[str, np.ndarray]:
        valid = (x != -1).any(-1, keepdims=True)
        count = np.where(valid.any(1), valid.sum(1), x.shape[1])
        return {"last": (x * valid).sum(1) / count + np.where(valid.any(1), 0, 1 / count)}

    many, calls = runner(mean, outputs=[LAST], pads=["T"])
    blank = np.full((4, 2), -1.0, np.float32)
    found = many.run_many([*rows(5), blank, *rows(4)])
    assert sorted(calls.shapes) == [(1, 4, 2), (2, 5, 2)]
    np.testing.assert_allclose(found[1], 0.25)


def test_rows_that_mix_run_alone() -> None:
    def centred(x: np.ndarray) -> dict[str, np.ndarray]:
        return {"y": x - x.mean(0)}

    many, calls = runner(centred, pads=["T"], mixes_rows=True)
    assert not np.any(many.run_many(rows(3, 3)))
    assert calls.shapes == [(1, 3, 2), (1, 3, 2)]


def test_an_output_without_rows_is_given_whole() -> None:
    norm = Port(name="norm", dtype="float32", shape=[])
    many, calls = runner(lambda x: {"norm": np.float32(x.size)}, outputs=[norm])
    assert many.run_many(rows(3, 3, 2)) == [6, 6, 4]
    assert calls.shapes == [(1, 3, 2), (1, 3, 2), (1, 2, 2)]


def test_a_batch_of_one_is_run_one_by_one() -> None:
    fixed = Port(name="x", dtype="float32", shape=[1, "T", 2], sampling=Sampling())
    y = Port(name="y", dtype="float32", shape=[1, "T", 2])
    many, calls = runner(running, [fixed], [y])
    given = rows(3, 3)
    np.testing.assert_array_equal(many.run_many(given)[1], given[1].cumsum(0))
    assert calls.shapes == [(1, 3, 2), (1, 3, 2)]


def test_a_fixed_batch_is_refused() -> None:
    fixed = Port(name="x", dtype="float32", shape=[4, "T", 2], sampling=Sampling())
    axis = FixedAxis(input="x", axis=0, size=4, layer="rnn", reason="stateful")
    many, _ = runner(running, [fixed], fixed_axes=[axis])
    assert message(lambda: many.run_many(rows(3)), InputError) == (
        "run_many, input 'x' | "
        "received: a model that takes float32 (4, T, 2) only: layer 'rnn', stateful | "
        "expected: a model of any batch size, or of batch size 1 | "
        "remedy: use runner.run, or export a model whose batch size is None"
    )


def test_a_fixed_time_is_named_with_its_layer() -> None:
    fixed = Port(name="x", dtype="float32", shape=["B", 3, 2], sampling=Sampling())
    axis = FixedAxis(input="x", axis=1, size=3, layer="flatten", reason="Dense needs 6")
    many, calls = runner(summed, [fixed], [LAST], fixed_axes=[axis])
    assert message(lambda: many.run_many(rows(3, 4)), InputError) == (
        "sequence 1, input 'x' | received: float32 (4, 2) | expected: float32 (3, 2) | "
        "remedy: give axis 0 size 3 (fixed by layer 'flatten': Dense needs 6)"
    )
    assert len(many.run_many(rows(3, 3))) == 2
    assert calls.shapes == [(2, 3, 2)]


def test_every_sequence_that_does_not_fit_is_named() -> None:
    many, calls = runner(running, pads=["T"])
    bad = [
        np.zeros((0, 2), np.float32),
        np.zeros((3, 2), np.float32),
        np.zeros((3, 5), np.float32),
        np.zeros(2, np.float32),
        [["a", "b"]],
        np.zeros((1, 3, 2), np.float32),
    ]
    assert message(lambda: many.run_many(bad), InputError).splitlines() == [
        "sequence 0, input 'x' | received: float32 (0, 2) | expected: float32 (T, 2) | "
        "remedy: leave it out: axis 0 (T) is empty",
        "sequence 2, input 'x' | received: float32 (3, 5) | expected: float32 (T, 2) | "
        "remedy: give axis 1 size 2",
        "sequence 3, input 'x' | received: float32 (2,) | expected: float32 (T, 2) | "
        "remedy: add the time axis: x[None]",
        "sequence 4, input 'x' | received: <U1 (1, 2) | expected: float32 (T, 2) | "
        "remedy: pass an array of numbers",
        "sequence 5, input 'x' | received: float32 (1, 3, 2) | expected: float32 (T, 2) | "
        "remedy: drop the first axis: x[0]",
    ]
    assert calls.shapes == []


def test_of_very_many_bad_ones_the_first_are_named() -> None:
    many, _ = runner(running)
    lines = message(lambda: many.run_many(rows(*[0] * 30)), InputError).splitlines()
    assert [line.split(",")[0] for line in lines[:8]] == [f"sequence {n}" for n in range(8)]
    assert lines[8:] == [
        "sequences | received: 22 more reasons, 30 sequences that do not fit in all | "
        "expected: sequences that fit | remedy: mend these first"
    ]


@pytest.mark.parametrize("given", [{"x": rows(2)}, "text", 7, None])
def test_what_is_no_list_of_sequences(given: Any) -> None:
    many, _ = runner(running)
    assert message(lambda: many.run_many(given), InputError) == (
        f"sequences | received: a {type(given).__name__} | "
        "expected: a list with one entry a sequence | "
        "remedy: pass [sequence, …]; of several inputs a list of tuples or dicts"
    )


@pytest.mark.parametrize("waste", [-0.1, 1, 1.5, True, "0.2", None, float("nan")])
def test_a_share_that_is_none(waste: Any) -> None:
    many, _ = runner(running)
    assert message(lambda: many.run_many([], waste=waste), UsageError) == (
        f"waste | received: {waste!r} | expected: a number from 0 up, below 1 | "
        "remedy: pass 0 to pad nothing, 0.5 to let half of a batch be padding"
    )


@pytest.mark.parametrize("size", [0, -3, 2.0, True])
def test_a_batch_size_that_is_none(size: Any) -> None:
    many, _ = runner(running)
    assert message(lambda: many.run_many([], max_batch=size), UsageError) == (
        f"max_batch | received: {size!r} | expected: a whole number from 1 up | "
        "remedy: pass a positive int"
    )


def test_several_inputs_and_dicts(pair: Artifact) -> None:
    many = load(pair, provider="cpu")
    lefts, ids = rows(2, 5, 2), [np.arange(n) for n in (2, 5, 2)]
    given = [{"video": v, "words": w} for v, w in zip(lefts, ids, strict=True)]
    found = many.run_many(given)
    assert [list(y) for y in found] == [["sum", "twice"]] * 3
    for left, word, y in zip(lefts, ids, found, strict=True):
        np.testing.assert_array_equal(y["twice"], 2 * word)
        np.testing.assert_array_equal(y["sum"], left + np.float32(word)[:, None])
    given[1]["words"] = np.arange(4)
    assert message(lambda: many.run_many(given), InputError) == (
        "sequence 1, input 'ids', axis 0 | received: size 4 in int64 (4,) | "
        "expected: size 5, as axis 0 of 'left': both are T | remedy: give both the same T"
    )
