from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rnnport.errors import ArtifactDamaged, ProviderLacks, ProviderUnavailable
from rnnport.runtime.backends.base import RunFailed
from rnnport.runtime.backends.reference import Reference, ReferenceSession
from rnnport.runtime.session import open_session
from tests.runtime.backends.recurrent_graphs import recurrent_feeds, recurrent_model, saved
from tests.tiny import lstm_model

NAMED = f"onnx {onnx.__version__}"


def one_op(op: str, output: int = TensorProto.FLOAT, **attributes: object) -> onnx.ModelProto:
    """x (N,) float32 through one operator to y."""
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["y"], **attributes)],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])],
        [helper.make_tensor_value_info("y", output, None)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_run_rounds_what_run_exact_gives(tmp_path: Path) -> None:
    model = recurrent_model("LSTM", direction="bidirectional", initial=True)
    session = open_session(saved(model, tmp_path), "reference")
    feeds = recurrent_feeds(model)
    rounded, exact = session.run(None, feeds), session.run_exact(None, feeds)
    for y, z in zip(rounded, exact, strict=True):
        assert (y.dtype, z.dtype) == (np.float32, np.float64)
        np.testing.assert_array_equal(y, z.astype(np.float32))
        assert np.any(z != y)
    assert [value.name for value in session.get_outputs()] == ["y", "h_out", "c_out"]
    (last,) = session.run(["c_out"], feeds)
    np.testing.assert_array_equal(last, rounded[2])


def test_inputs_of_float64_are_taken_as_they_are(tmp_path: Path) -> None:
    """A difference that float32 does not have moves the exact outputs."""
    model = recurrent_model("GRU")
    session = ReferenceSession(saved(model, tmp_path))
    x = recurrent_feeds(model)["x"].astype(np.float64)
    moved = x * (1 + 1e-9)
    (near,), (far,) = (session.run_exact(["y"], {"x": given}) for given in (x, moved))
    assert 1e-12 < np.abs(near - far).max() < 1e-8
    np.testing.assert_array_equal(moved.astype(np.float32), x.astype(np.float32))


def test_every_float_type_in_the_graph_is_widened(tmp_path: Path) -> None:
    """Casts to float32 and float16, a constant and a default among them."""
    nodes = [
        helper.make_node("Constant", [], ["third"], value_float=1 / 3),
        helper.make_node("ConstantOfShape", ["shape"], ["zero"]),
        helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["half"], ["back"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["back", "third"], ["sum"]),
        helper.make_node("Add", ["sum", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "casts",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(np.array([1], np.int64), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = ReferenceSession(saved(model, tmp_path))
    x = np.array([0.1, 1e-9])
    (y,) = session.run_exact(None, {"x": x})
    np.testing.assert_array_equal(y, x + float(np.float32(1 / 3)))


def test_integers_stay_integers(tmp_path: Path) -> None:
    model = one_op("Cast", TensorProto.INT64, to=TensorProto.INT64)
    for run in ("run", "run_exact"):
        (y,) = getattr(ReferenceSession(saved(model, tmp_path)), run)(
            None, {"x": np.array([2.0, 3.0])}
        )
        assert (y.dtype, y.tolist()) == (np.int64, [2, 3])


def test_an_operator_that_narrows_is_found_out(tmp_path: Path) -> None:
    """MelWeightMatrix gives float32, whatever goes in."""
    node = helper.make_node("MelWeightMatrix", ["a", "b", "c", "d", "e"], ["y"])
    values = [np.array(v) for v in (8, 16, 8192)] + [np.array(v, np.float32) for v in (0, 4000)]
    graph = helper.make_graph(
        [node],
        "mel",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, n) for n, v in zip("abcde", values, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    with pytest.raises(RunFailed) as caught:
        ReferenceSession(saved(model, tmp_path)).run_exact(None, {})
    assert str(caught.value) == f"{NAMED}: 'y' was computed in float32"


def test_weights_beside_the_file(tmp_path: Path) -> None:
    model = lstm_model()
    whole = ReferenceSession(saved(model, tmp_path))
    (tmp_path / "apart").mkdir()
    path = tmp_path / "apart" / "model.onnx"
    onnx.save(
        model, path, save_as_external_data=True, location="model.onnx.data", size_threshold=100
    )
    x = {"x": np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)}
    np.testing.assert_array_equal(whole.run(None, x), ReferenceSession(path).run(None, x))


@pytest.mark.parametrize(
    ("names", "feeds", "said"),
    [
        (None, {}, "inputs [], where it takes ['x']"),
        (None, {"x": 0, "z": 0}, "inputs ['x', 'z'], where it takes ['x']"),
        (["q"], {"x": 0}, "no outputs ['q'], but ['y']"),
    ],
)
def test_names_that_do_not_fit(
    names: list[str] | None, feeds: dict[str, np.ndarray], said: str, tmp_path: Path
) -> None:
    session = ReferenceSession(saved(one_op("Neg"), tmp_path))
    with pytest.raises(RunFailed) as caught:
        session.run(names, feeds)
    assert str(caught.value) == f"{NAMED}: {said}"


def test_a_graph_that_onnx_does_not_open(tmp_path: Path) -> None:
    model = one_op("Neg")
    model.graph.input[0].type.tensor_type.elem_type = 99
    path = saved(model, tmp_path)
    with pytest.raises(ArtifactDamaged) as caught:
        ReferenceSession(path)
    (reason,) = caught.value.reasons
    assert reason.subject == str(path)
    assert reason.received.startswith(f"{NAMED}: ")
    assert reason.remedy == "pip install -U onnx, or export the model again"


def test_operators_without_an_implementation_are_named(tmp_path: Path) -> None:
    model = one_op("Neg")
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    model.graph.node.append(helper.make_node("Odd", ["y"], ["z"], domain="com.example"))
    model.graph.node.append(helper.make_node("Multinomial", ["y"], ["m"]))
    path = saved(model, tmp_path)
    with pytest.raises(ProviderLacks) as caught:
        open_session(path, "reference")
    rest = (
        "expected: operators that reference runs, and rightly | remedy: export the model with "
        "target='portable', or choose another provider"
    )
    assert str(caught.value).splitlines() == [
        "provider 'reference', model.onnx | received: Odd: onnx's evaluator does not have it, "
        f"domain com.example | {rest}",
        "provider 'reference', model.onnx | received: Multinomial: onnx's evaluator does not have "
        f"it | {rest}",
    ]


def test_onnx_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ProviderUnavailable) as caught:
        Reference().require()
    assert str(caught.value) == (
        "provider 'reference' | received: no package onnx | "
        "expected: onnx, whose evaluator runs the graph | remedy: pip install 'rnnport[reference]'"
    )
