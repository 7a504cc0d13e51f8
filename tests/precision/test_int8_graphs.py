"""int8 in graphs made by hand: what the dynamic kernels see, embeddings, hold columns, sharing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from rnnport.graph.finish import write_onnx
from rnnport.graph.int8 import Int8, to_int8

FEATURES, UNITS = 24, 80
Arrays = dict[str, Any]
RNG = np.random.default_rng(0)
node = helper.make_node


def weights(*shape: int) -> np.ndarray[Any, Any]:
    return (RNG.standard_normal(shape) / np.sqrt(shape[-1])).astype("float32")


def lstm_weights() -> Arrays:
    return {
        "W": weights(1, 4 * UNITS, FEATURES),
        "R": weights(1, 4 * UNITS, UNITS),
        "B": weights(1, 8 * UNITS),
    }


class Graph:
    """A model in float32 and in int8."""

    def __init__(
        self,
        nodes: list[Any],
        constants: Arrays,
        inputs: Arrays,
        path: Path,
        *,
        dynamic: bool,
        rank: int = 4,
    ) -> None:
        types = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32, "int64": 7}
        ports = [helper.make_tensor_value_info(n, types[t], s) for n, (t, s) in inputs.items()]
        given = [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"d{i}" for i in range(rank)])
        ]
        stored = [numpy_helper.from_array(a, n) for n, a in constants.items()]
        graph = helper.make_graph(nodes, "g", ports, given, stored)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        onnx.save(model, path / "a.onnx")
        small = ir.load(path / "a.onnx")
        self.made = to_int8(small, dynamic=dynamic)
        write_onnx(small, path / "b.onnx")
        self.small = onnx.load(path / "b.onnx")
        self.ops = Counter(n.op_type for n in self.small.graph.node)
        self._sessions = [
            ort.InferenceSession(path / f"{n}.onnx", providers=["CPUExecutionProvider"])
            for n in "ab"
        ]

    def run(self, **inputs: Any) -> list[np.ndarray[Any, Any]]:
        """What float32 gives, and what int8 does."""
        return [session.run(["y"], inputs)[0] for session in self._sessions]


def test_what_is_behind_a_row_does_not_stretch_the_scale(tmp_path: Path) -> None:
    nodes = [node("LSTM", ["x", "W", "R", "B", "n"], ["y"], hidden_size=UNITS)]
    inputs = {"x": ("float32", ["T", "B", FEATURES]), "n": ("int32", ["B"])}
    graph = Graph(nodes, lstm_weights(), inputs, tmp_path, dynamic=True)
    assert graph.made == Int8(lstms=1, products=0, stored=0)
    lengths = np.array([9, 4, 0], np.int32)
    x = RNG.standard_normal((9, 3, FEATURES)).astype("float32")
    whole, small = graph.run(x=x, n=lengths)
    assert 1e-4 < np.abs(whole - small).max() < 0.06
    for garbage in (np.nan, np.inf, 1e6, 0.0):
        other = x.copy()
        other[4:, 1], other[:, 2] = garbage, garbage
        expected = small if garbage == 0.0 else graph.run(x=_zeroed(x), n=lengths)[1]
        received = graph.run(x=other, n=lengths)[1]
        assert (received == graph.run(x=_zeroed(x), n=lengths)[1]).all()
        assert np.abs(received - expected).max() < 0.06


def _zeroed(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    made = x.copy()
    made[4:, 1], made[:, 2] = 0.0, 0.0
    return made


def test_large_products_go_with_an_lstm_and_small_ones_stay(tmp_path: Path) -> None:
    constants = lstm_weights() | {"D": weights(UNITS, 600), "E": weights(600, 3)}
    nodes = [
        node("LSTM", ["x", "W", "R", "B"], ["a"], hidden_size=UNITS),
        node("MatMul", ["a", "D"], ["b"]),
        node("MatMul", ["b", "E"], ["y"]),
    ]
    inputs = {"x": ("float32", ["T", "B", FEATURES])}
    graph = Graph(nodes, constants, inputs, tmp_path, dynamic=True)
    assert graph.made == Int8(lstms=1, products=1, stored=1)
    assert (graph.ops["DynamicQuantizeMatMul"], graph.ops["MatMul"]) == (1, 1)
    whole, small = graph.run(x=RNG.standard_normal((7, 2, FEATURES)).astype("float32"))
    assert 1e-4 < np.abs(whole - small).max() < 0.1 * np.abs(whole).max()


def test_without_an_lstm_no_product_mixes_rows(tmp_path: Path) -> None:
    graph = Graph(
        [node("MatMul", ["x", "D"], ["y"])],
        {"D": weights(64, 600)},
        {"x": ("float32", ["B", 64])},
        tmp_path,
        dynamic=True,
        rank=2,
    )
    assert graph.made == Int8(lstms=0, products=0, stored=1)
    assert not [o for o in graph.small.opset_import if o.domain]
    x = RNG.standard_normal((4, 64)).astype("float32")
    _, small = graph.run(x=x)
    assert np.abs(graph.run(x=x[1:2])[1] - small[1:2]).max() < 1e-6


def test_embeddings_are_looked_up_in_int8(tmp_path: Path) -> None:
    table = weights(200, 16) * np.arange(1, 201, dtype="float32")[:, None]
    graph = Graph(
        [node("Gather", ["E", "x"], ["y"])],
        {"E": table},
        {"x": ("int64", ["B", "T"])},
        tmp_path,
        dynamic=False,
        rank=3,
    )
    assert graph.ops == {"Gather": 2, "Cast": 1, "Mul": 1}
    ids = np.arange(200).reshape(2, 100)
    whole, small = graph.run(x=ids)
    steps = np.abs(whole).max(axis=-1, keepdims=True) / 127
    assert (np.abs(whole - small) <= 0.501 * steps).all()
    assert np.abs(whole - small).max() > 0


def test_a_table_that_is_also_multiplied_by_stays(tmp_path: Path) -> None:
    nodes = [
        node("Gather", ["E", "x"], ["a"]),
        node("Transpose", ["E"], ["t"], perm=[1, 0]),
        node("MatMul", ["a", "t"], ["y"]),
    ]
    inputs = {"x": ("int64", ["B"])}
    graph = Graph(nodes, {"E": weights(200, 16)}, inputs, tmp_path, dynamic=False, rank=2)
    assert graph.made == Int8(lstms=0, products=0, stored=0)


def test_a_hold_column_keeps_its_weight(tmp_path: Path) -> None:
    w = weights(1, 3 * UNITS, FEATURES + 1)
    w[..., -1] = 0.0
    w[:, :UNITS, -1] = 1e30
    constants = {"W": w, "R": weights(1, 3 * UNITS, UNITS), "B": weights(1, 6 * UNITS)}
    nodes = [node("GRU", ["x", "W", "R", "B"], ["y"], hidden_size=UNITS, linear_before_reset=1)]
    inputs = {"x": ("float32", ["T", "B", FEATURES + 1])}
    graph = Graph(nodes, constants, inputs, tmp_path, dynamic=True)
    assert graph.made == Int8(lstms=0, products=0, stored=2)
    assert graph.ops["Concat"] == 1
    x = RNG.standard_normal((9, 2, FEATURES + 1)).astype("float32")
    x[..., -1] = 0.0
    x[4:6, 0], x[4:6, 0, -1] = 0.0, 1.0
    whole, small = graph.run(x=x)
    assert 1e-4 < np.abs(whole - small).max() < 0.05
    assert (small[4:6, :, 0] == small[3, :, 0]).all()


def test_weights_shared_by_two_uses_are_stored_once(tmp_path: Path) -> None:
    nodes = [
        node("LSTM", ["x", "W", "R", "B"], ["", "h"], hidden_size=UNITS),
        node("LSTM", ["x", "W", "R", "B", "", "h"], ["y"], hidden_size=UNITS),
    ]
    inputs = {"x": ("float32", ["T", "B", FEATURES])}
    graph = Graph(nodes, lstm_weights(), inputs, tmp_path, dynamic=True)
    names = sorted(v.name for v in graph.small.graph.initializer)
    assert names == ["B", *(f"{a}_kernel{b}" for a in "RW" for b in ("", "_scale", "_zero"))]
    whole, small = graph.run(x=RNG.standard_normal((7, 2, FEATURES)).astype("float32"))
    assert 1e-4 < np.abs(whole - small).max() < 0.06


def test_peepholes_stay_in_float32_arithmetic(tmp_path: Path) -> None:
    constants = lstm_weights() | {"P": weights(1, 3 * UNITS)}
    names = ["x", "W", "R", "B", "", "", "", "P"]
    nodes = [node("LSTM", names, ["y"], hidden_size=UNITS)]
    inputs = {"x": ("float32", ["T", "B", FEATURES])}
    graph = Graph(nodes, constants, inputs, tmp_path, dynamic=True)
    assert graph.made == Int8(lstms=0, products=0, stored=2)


def test_a_small_lstm_keeps_its_rows_apart(tmp_path: Path) -> None:
    constants = {"W": weights(1, 256, 8), "R": weights(1, 256, 64), "B": weights(1, 512)}
    nodes = [node("LSTM", ["x", "W", "R", "B"], ["y"], hidden_size=64)]
    graph = Graph(nodes, constants, {"x": ("float32", ["T", "B", 8])}, tmp_path, dynamic=True)
    assert graph.made == Int8(lstms=0, products=0, stored=2)
    x = RNG.standard_normal((7, 2, 8)).astype("float32")
    _, small = graph.run(x=x)
    x[:, 0] = np.nan
    assert np.abs(graph.run(x=x)[1][:, :, 1] - small[:, :, 1]).max() < 1e-6
