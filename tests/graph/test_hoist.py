"""Which work of a step may run for all steps at once: whatever treats every row by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest

from rnnport.graph.einsum import as_product
from rnnport.graph.emit import Emitter
from rnnport.graph.hoist import hoistable


def body(sizes: tuple[int | None, ...]) -> tuple[Emitter, ir.Value]:
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(["B", *sizes]))
    return Emitter(ir.Graph([x], [], nodes=[], name="body")), x


def moved(emit: Emitter, x: ir.Value, sizes: tuple[int | None, ...], last: ir.Value) -> list[str]:
    result = emit.op("Identity", last)
    emit.graph.outputs.append(result)
    return [node.op_type for node in hoistable(emit.graph, {x: sizes})]


def weight(emit: Emitter, *shape: int) -> ir.Value:
    return emit.weight(f"w{shape}", np.ones(shape, np.float32))


def test_a_chain_of_row_by_row_work() -> None:
    emit, x = body((4,))
    product = emit.op("MatMul", x, weight(emit, 4, 6))
    biased = emit.op("Add", product, weight(emit, 6))
    one, _ = emit.nodes("Split", [biased], 2, axis=-1, num_outputs=2)
    assert moved(emit, x, (4,), emit.op("Tanh", one)) == ["MatMul", "Add", "Split", "Tanh"]


@pytest.mark.parametrize(
    ("equation", "shape", "count"),
    [
        ("bij,ijkl->bkl", (2, 3, 4, 5), 1),
        ("bij,jk->bik", (3, 4), 1),
        ("bij,jk->ibk", (3, 4), 0),  # the batch is no longer in front
        ("bij,bk->bijk", (7, 4), 0),  # a constant of a row for every row
    ],
)
def test_einsum(equation: str, shape: tuple[int, ...], count: int) -> None:
    emit, x = body((2, 3))
    y = emit.op("Einsum", x, weight(emit, *shape), equation=equation)
    assert len(moved(emit, x, (2, 3), y)) == count


def _rows(emit: Emitter, x: ir.Value) -> ir.Value:
    return emit.op("ReduceMean", x, emit.ints(0), keepdims=1)


def _batch_of_one(emit: Emitter, x: ir.Value) -> ir.Value:
    return emit.op("Add", x, weight(emit, 3, 4))  # only right for a batch of three


def _swapped(emit: Emitter, x: ir.Value) -> ir.Value:
    return emit.op("Transpose", x, perm=[1, 0])


def _folded(emit: Emitter, x: ir.Value) -> ir.Value:
    return emit.op("Reshape", x, emit.ints(-1, 2))


def _sliced(emit: Emitter, x: ir.Value) -> ir.Value:
    return emit.op("Slice", x, emit.ints(0), emit.ints(1), emit.ints(0))


def _joined(emit: Emitter, x: ir.Value) -> ir.Value:
    return emit.op("Concat", x, x, axis=0)


@pytest.mark.parametrize("mix", [_rows, _batch_of_one, _swapped, _folded, _sliced, _joined])
def test_what_mixes_rows_stays(mix: Any) -> None:
    """Behind a product that may go, and alone."""
    emit, x = body((4,))
    product = emit.op("MatMul", x, weight(emit, 4, 4))
    assert moved(emit, x, (4,), mix(emit, product)) == ["MatMul"]
    emit, x = body((4,))
    assert moved(emit, x, (4,), emit.op("MatMul", mix(emit, x), weight(emit, 4, 4))) == []


def test_what_reads_a_state_stays() -> None:
    emit, x = body((4,))
    state = ir.Value(name="h", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(["B", 4]))
    emit.graph.inputs.append(state)
    both = emit.op("Add", x, emit.op("MatMul", state, weight(emit, 4, 4)))
    assert moved(emit, x, (4,), both) == []


def test_light_work_alone_is_left_where_it_is() -> None:
    emit, x = body((4,))
    assert moved(emit, x, (4,), emit.op("Tanh", x)) == []


@pytest.mark.parametrize(
    ("sizes", "wanted", "count"),
    [((6,), (-1, 2, 3), 2), ((2, 3), (0, 6), 2), ((6,), (-1, 2), 1), ((None, 3), (-1, 6), 1)],
)
def test_reshapes_that_keep_rows_apart(
    sizes: tuple[int | None, ...], wanted: tuple[int, ...], count: int
) -> None:
    emit, x = body(sizes)
    width = sizes[-1]
    assert width is not None
    product = emit.op("MatMul", x, weight(emit, width, width))
    assert len(moved(emit, x, sizes, emit.op("Reshape", product, emit.ints(*wanted)))) == count


@pytest.mark.parametrize(
    ("equation", "sizes", "shape", "rewritten"),
    [
        ("bij,ijkl->bkl", (2, 3), (2, 3, 4, 5), True),
        ("bi,ik->bk", (6,), (6, 4), True),
        ("bij,ji->bj", (2, 3), (3, 2), False),
        ("bij,jik->bk", (2, 3), (3, 2, 4), False),
        ("bij,jk->bik", (2, 3), (3, 4), False),
    ],
)
def test_einsum_as_a_product(
    equation: str, sizes: tuple[int, ...], shape: tuple[int, ...], rewritten: bool
) -> None:
    """Numbers are NumPy's; where axes would have to move it stays an Einsum."""
    rng = np.random.default_rng(0)
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(["B", *sizes]))
    emit = Emitter(ir.Graph([x], [], nodes=[], name="g", opset_imports={"": 18}))
    array = rng.standard_normal(shape).astype("float32")
    node = ir.node("Einsum", [x, emit.weight("w", array)], {"equation": equation})
    product = as_product(emit, node)
    assert (product is not None) is rewritten
    if product is None:
        return
    product.name, product.type = "y", ir.TensorType(ir.DataType.FLOAT)
    emit.graph.outputs.append(product)
    model = ir.to_proto(ir.Model(emit.graph, ir_version=10)).SerializeToString()
    given = rng.standard_normal((5, *sizes)).astype("float32")
    (received,) = ort.InferenceSession(model).run(None, {"x": given})
    np.testing.assert_allclose(received, np.einsum(equation, given, array), atol=1e-5)
