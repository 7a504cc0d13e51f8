"""Single steps cut from a sequence, in the forms TensorFlow gives them."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir
import pytest

from rnnport.graph.emit import Emitter
from rnnport.graph.steps import joined_steps, step_of
from tests.graph.skeletons import value


def _graph(time: int | str = 5) -> tuple[Emitter, ir.Value]:
    x = value("x", ["B", time, 3])
    return Emitter(ir.Graph([x], [], nodes=[], opset_imports={"": 18}, name="g")), x


def _slice(
    emit: Emitter, x: ir.Value, starts: list[int], ends: list[int], axes: list[int]
) -> ir.Value:
    return emit.op("Slice", x, emit.ints(*starts), emit.ints(*ends), emit.ints(*axes))


BIG = 2**31 - 1


@pytest.mark.parametrize("axis", [0, 1])
def test_gather(axis: int) -> None:
    emit, x = _graph()
    step = step_of(emit.op("Gather", x, emit.integer(2), axis=axis))
    assert step is not None
    assert (step.source, step.axis, step.index) == (x, axis, 2)
    assert step.length == (5 if axis == 1 else None)


def test_squeezed_slice() -> None:
    emit, x = _graph()
    piece = _slice(emit, x, [0, 3, 0], [BIG, 4, BIG], [0, 1, 2])
    step = step_of(emit.op("Squeeze", piece, emit.ints(1)))
    assert step is not None
    assert (step.source, step.axis, step.index, step.length) == (x, 1, 3, 5)


def test_split() -> None:
    emit, x = _graph()
    parts = emit.nodes("Split", [x], 5, axis=1, num_outputs=5)
    steps = [step_of(emit.op("Squeeze", part, emit.ints(1))) for part in parts]
    assert [(s.source, s.axis, s.index, s.length) for s in steps if s] == [
        (x, 1, n, 5) for n in range(5)
    ]


def test_open_length() -> None:
    emit, x = _graph("T")
    step = step_of(emit.op("Gather", x, emit.integer(0), axis=1))
    assert step is not None
    assert step.length is None


def test_counted_from_the_end() -> None:
    emit, x = _graph()
    step = step_of(emit.op("Gather", x, emit.integer(-1), axis=1))
    assert step is not None
    assert (step.source, step.index, step.length) == (x, 4, 5)
    emit, x = _graph("T")
    assert step_of(emit.op("Gather", x, emit.integer(-1), axis=1)) is None


def test_what_is_no_step() -> None:
    emit, x = _graph()
    assert step_of(x) is None
    assert step_of(emit.op("Relu", x)) is None
    assert step_of(emit.op("Gather", x, emit.integer(2), axis=2)) is None
    assert step_of(emit.op("Gather", x, emit.ints(1, 2), axis=1)) is None
    two = _slice(emit, x, [1], [3], [1])
    assert step_of(emit.op("Squeeze", two, emit.ints(1))) is None
    narrowed = _slice(emit, x, [2, 1], [3, BIG], [1, 2])
    assert step_of(emit.op("Squeeze", narrowed, emit.ints(1))) is None
    one = _slice(emit, x, [2], [3], [1])
    assert step_of(emit.op("Squeeze", one, emit.ints(2))) is None
    flat = emit.op("Reshape", x, emit.ints(-1, 3))
    flat.shape = ir.Shape(["N", 3])
    assert step_of(emit.op("Gather", flat, emit.integer(0), axis=0)) is None
    halves = emit.nodes("Split", [x, emit.ints(2, 3)], 2, axis=1)
    assert step_of(emit.op("Squeeze", halves[0], emit.ints(1))) is None


def _stacked(emit: Emitter, steps: Sequence[ir.Value], axis: int) -> ir.Value:
    lifted = [emit.op("Unsqueeze", s, emit.ints(axis)) for s in steps]
    whole = emit.op("Concat", *lifted, axis=axis)
    end = emit.op("Relu", whole)
    emit.graph.outputs.append(end)
    return end


@pytest.mark.parametrize("axis", [0, 1])
def test_stacked_steps_become_the_sequence(axis: int) -> None:
    emit, x = _graph()
    steps = [emit.op("Gather", x, emit.integer(n), axis=1) for n in range(3)]
    end = _stacked(emit, steps, axis)
    sequence = emit.op("Identity", x)
    joined_steps(emit, steps, sequence)
    (source,) = end.producer().inputs  # type: ignore[union-attr]
    assert source is not None
    if axis == 1:
        assert source is sequence
    else:
        producer = source.producer()
        assert producer is not None
        assert (producer.op_type, producer.inputs[0]) == ("Transpose", sequence)
    assert "Concat" not in [n.op_type for n in emit.graph]


@pytest.mark.parametrize("order", [[2, 1, 0], [0, 1], [0, 1, 2, 2]])
def test_other_stacks_are_left_alone(order: list[int]) -> None:
    emit, x = _graph()
    steps = [emit.op("Gather", x, emit.integer(n), axis=1) for n in range(3)]
    _stacked(emit, [steps[n] for n in order], 1)
    joined_steps(emit, steps, emit.op("Identity", x))
    assert [n.op_type for n in emit.graph].count("Concat") == 1


def test_feature_joins_are_left_alone() -> None:
    emit, x = _graph()
    steps = [emit.op("Gather", x, emit.integer(n), axis=1) for n in range(3)]
    joined = emit.op("Concat", *steps, axis=1)
    emit.graph.outputs.append(joined)
    joined_steps(emit, steps, emit.op("Identity", x))
    assert list(joined.producer().inputs) == steps  # type: ignore[union-attr]
