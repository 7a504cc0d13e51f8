from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from rnnport.errors import ProviderLacks
from rnnport.runtime.backends.cuda import Cuda
from rnnport.runtime.backends.registry import BACKENDS
from rnnport.runtime.session import open_session
from tests.backends import providers
from tests.runtime.backends.recurrent_graphs import recurrent_model, saved


def found(provider: str, path: Path) -> list[tuple[str, str, str]]:
    return [(k.form, k.op, k.reason) for k in BACKENDS[provider].lacks(path)]


@pytest.mark.parametrize("provider", ["cpu", "cuda", "web"])
def test_layout_1_is_not_implemented(provider: str, tmp_path: Path) -> None:
    path = saved(recurrent_model("GRU", layout=1), tmp_path)
    assert found(provider, path) == [("model", "GRU", "onnxruntime does not implement layout 1")]


def test_operators_of_strangers(tmp_path: Path) -> None:
    model = recurrent_model("GRU")
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    model.graph.node.append(helper.make_node("Odd", ["y"], ["z"], domain="com.example"))
    path = saved(model, tmp_path)
    reason = "onnxruntime has no operators of domain com.example"
    assert found("cpu", path) == [("model", "Odd", reason)]
    with pytest.raises(ProviderLacks) as caught:
        open_session(path, "cpu")
    assert str(caught.value) == (
        f"provider 'cpu', model.onnx | received: Odd: {reason} | "
        "expected: operators that cpu runs, and rightly | remedy: export the model with "
        "target='cpu', or choose another provider"
    )


@pytest.mark.parametrize("way", ["forward", "reverse", "bidirectional"])
def test_lengths_read_backwards_on_cuda(way: str, tmp_path: Path) -> None:
    path = saved(recurrent_model("GRU", lengths=True, direction=way), tmp_path)
    reason = "its CUDA kernel ignores sequence_lens where it reads backwards"
    expected = [] if way == "forward" else [("GRU", reason)]
    assert [(k.op, k.reason) for k in Cuda().lacks(path)] == expected
    assert found("cpu", path) == []


@pytest.mark.parametrize("provider", providers("cpu", "web"))
def test_an_operator_without_a_kernel(provider: str, tmp_path: Path) -> None:
    """ONNX allows double, onnxruntime implements float alone."""
    graph = helper.make_graph(
        [helper.make_node("Asinh", ["x"], ["y"])],
        "double",
        *([helper.make_tensor_value_info(n, TensorProto.DOUBLE, ["N"])] for n in "xy"),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path = saved(model, tmp_path)
    assert found(provider, path) == []
    with pytest.raises(ProviderLacks) as caught:
        open_session(path, provider)
    (reason,) = caught.value.reasons
    assert reason.subject == f"provider {provider!r}, model.onnx"
    assert reason.received == "Asinh: onnxruntime has no implementation for these types"


@pytest.mark.parametrize("provider", providers("cpu", "openvino", "web", "reference"))
def test_inputs_without_an_axis(provider: str, tmp_path: Path) -> None:
    """A scalar stays one, and an array need not be contiguous."""
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", ["A", "B"]), ("by", []), ("y", ["A", "B"]), ("twice", []))
    ]
    nodes = [
        helper.make_node("Mul", ["x", "by"], ["y"]),
        helper.make_node("Add", ["by", "by"], ["twice"]),
    ]
    graph = helper.make_graph(nodes, "scaled", infos[:2], infos[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = open_session(saved(model, tmp_path), provider)
    x = np.arange(6, dtype=np.float32).reshape(2, 3).T
    y, twice = session.run(None, {"x": x, "by": np.array(3, np.float32)})
    np.testing.assert_array_equal(y, 3 * x)
    assert (twice.shape, twice.dtype, float(twice)) == ((), np.float32, 6.0)
