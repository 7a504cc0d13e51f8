"""The reference's recurrent operators against onnxruntime, TensorFlow and the specification."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from rnnport.runtime.backends.base import RunFailed
from rnnport.runtime.backends.reference import ReferenceSession
from tests.runtime.backends.recurrent_graphs import recurrent_feeds, recurrent_model, saved

KINDS = ["LSTM", "GRU", "RNN"]
WAYS = ["forward", "reverse", "bidirectional"]
ROLES = {"LSTM": 3, "GRU": 2, "RNN": 1}
# Names onnxruntime has, with their parameters.
ACTIVATIONS: list[dict[str, Any]] = [
    {"names": ["Relu"]},
    {"names": ["Softsign"]},
    {"names": ["Softplus"]},
    {"names": ["Elu"], "alpha": [1.3]},
    {"names": ["LeakyRelu"], "alpha": [0.3]},
    {"names": ["ThresholdedRelu"], "alpha": [0.4]},
    {"names": ["Affine"], "alpha": [0.7], "beta": [0.2]},
    {"names": ["ScaledTanh"], "alpha": [1.7], "beta": [0.6]},
    {"names": ["HardSigmoid"], "alpha": [1 / 6], "beta": [0.5]},
]


def both(
    model: onnx.ModelProto, folder: Path, **feeds: Any
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What onnxruntime and the reference give for the same inputs."""
    path = saved(model, folder)
    given = recurrent_feeds(model, **feeds)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, given), ReferenceSession(path).run_exact(None, given)


def assert_close(found: tuple[list[np.ndarray], list[np.ndarray]], bound: float = 2e-6) -> None:
    for expected, received in zip(*found, strict=True):
        assert received.dtype == np.float64
        assert received.shape == expected.shape
        assert np.ptp(expected) > 0.05
        np.testing.assert_allclose(received, expected, rtol=0, atol=bound)


@pytest.mark.parametrize("initial", [False, True], ids=["from zeros", "from states"])
@pytest.mark.parametrize("lengths", [False, True], ids=["whole", "lengths"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_directions_lengths_and_states(
    tmp_path: Path, kind: str, way: str, lengths: bool, initial: bool
) -> None:
    model = recurrent_model(kind, direction=way, lengths=lengths, initial=initial)
    assert_close(both(model, tmp_path, least=1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_without_steps_keeps_its_state(tmp_path: Path, kind: str) -> None:
    model = recurrent_model(kind, direction="bidirectional", lengths=True, initial=True)
    feeds = recurrent_feeds(model, least=0)
    y, *states = ReferenceSession(saved(model, tmp_path)).run_exact(None, feeds)
    assert not y[:, :, 0].any()
    for name, state in zip("hc", states, strict=False):
        np.testing.assert_array_equal(state[:, 0], feeds[name][:, 0].astype(np.float64))


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_are_whole_runs_of_the_rows_alone(tmp_path: Path, kind: str) -> None:
    """Independent of any other runtime: every row cut to its length and run without lengths."""
    given = {"direction": "bidirectional", "initial": True}
    session = ReferenceSession(saved(recurrent_model(kind, lengths=True, **given), tmp_path))
    feeds = recurrent_feeds(recurrent_model(kind, lengths=True, **given), least=1)
    (tmp_path / "alone").mkdir()
    alone = ReferenceSession(saved(recurrent_model(kind, **given), tmp_path / "alone"))
    y, *states = session.run_exact(None, feeds)
    for row, length in enumerate(feeds["lens"]):
        own = {n: v[:, row : row + 1] for n, v in feeds.items() if n != "lens"}
        own["x"] = own["x"][:length]
        own_y, *own_states = alone.run_exact(None, own)
        np.testing.assert_allclose(y[:length, :, row], own_y[:, :, 0], rtol=0, atol=1e-15)
        assert not y[length:, :, row].any()
        for state, own_state in zip(states, own_states, strict=True):
            np.testing.assert_allclose(state[:, row], own_state[:, 0], rtol=0, atol=1e-15)


@pytest.mark.parametrize("given", ACTIVATIONS, ids=lambda g: g["names"][0])
@pytest.mark.parametrize("kind", KINDS)
def test_activations_and_their_parameters(tmp_path: Path, kind: str, given: dict[str, Any]) -> None:
    gates = ["Sigmoid"] * (ROLES[kind] > 1)
    names = [*gates, *given["names"] * (ROLES[kind] - len(gates))]
    attributes: dict[str, Any] = {"activations": names}
    for key in ("alpha", "beta"):
        if key in given:
            attributes[f"activation_{key}"] = given[key] * (ROLES[kind] - len(gates))
    model = recurrent_model(kind, initial=True, lengths=True, **attributes)
    assert_close(both(model, tmp_path, least=1, time=4), 5e-6)


def test_parameters_go_to_the_activations_that_take_them(tmp_path: Path) -> None:
    model = recurrent_model(
        "LSTM",
        direction="bidirectional",
        activations=["HardSigmoid", "Tanh", "Elu", "Sigmoid", "LeakyRelu", "Tanh"],
        activation_alpha=[0.2, 1.5, 0.3],
        activation_beta=[0.5],
    )
    assert_close(both(model, tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_clip_bounds_what_enters_an_activation(tmp_path: Path, kind: str) -> None:
    found = both(recurrent_model(kind, clip=0.35, initial=True), tmp_path)
    assert_close(found)
    free = both(recurrent_model(kind, initial=True), tmp_path)[1]
    assert np.abs(free[0] - found[1][0]).max() > 0.1


@pytest.mark.parametrize("before", [0, 1])
def test_gru_resets_before_or_after_the_product(tmp_path: Path, before: int) -> None:
    model = recurrent_model("GRU", linear_before_reset=before, lengths=True)
    assert_close(both(model, tmp_path, least=1))


def test_peepholes(tmp_path: Path) -> None:
    found = both(recurrent_model("LSTM", peepholes=True, initial=True), tmp_path)
    assert_close(found)
    free = both(recurrent_model("LSTM", initial=True), tmp_path)[1]
    assert np.abs(free[0] - found[1][0]).max() > 0.05


def test_coupled_gates(tmp_path: Path) -> None:
    assert_close(both(recurrent_model("LSTM", input_forget=1), tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_layout_1_is_layout_0_with_the_batch_first(tmp_path: Path, kind: str) -> None:
    given = {"direction": "bidirectional", "initial": True}
    first = ReferenceSession(saved(recurrent_model(kind, layout=1, **given), tmp_path))
    feeds = recurrent_feeds(recurrent_model(kind, **given))
    (tmp_path / "time").mkdir()
    session = ReferenceSession(saved(recurrent_model(kind, **given), tmp_path / "time"))
    y, *states = session.run_exact(None, feeds)
    swapped = first.run_exact(None, {n: np.swapaxes(v, 0, 1) for n, v in feeds.items()})
    np.testing.assert_array_equal(swapped[0], np.moveaxis(y, 2, 0))
    for state, other in zip(states, swapped[1:], strict=True):
        np.testing.assert_array_equal(other, np.swapaxes(state, 0, 1))


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"activations": ["Gelu"]}, "activation 'Gelu' is not one ONNX names"),
        (
            {"activations": ["Affine"], "activation_alpha": [1.0]},
            "activation 'Affine' lacks a parameter that has no default",
        ),
        (
            {"activations": ["Tanh"], "activation_alpha": [1.0]},
            "activation_alpha holds more values than ['Tanh'] take",
        ),
        (
            {"activations": ["Tanh"] * 2},
            "RNN of 1 directions has ['Tanh', 'Tanh'] and 1 weights",
        ),
    ],
)
def test_attributes_that_make_no_sense(
    tmp_path: Path, attributes: dict[str, Any], said: str
) -> None:
    model = recurrent_model("RNN", **attributes)
    with pytest.raises(RunFailed) as caught:
        ReferenceSession(saved(model, tmp_path)).run(None, recurrent_feeds(model))
    assert str(caught.value) == f"onnx {onnx.__version__}: ValueError: {said}"


def test_lengths_beyond_the_sequence(tmp_path: Path) -> None:
    model = recurrent_model("GRU", lengths=True)
    feeds = recurrent_feeds(model, batch=2, time=3)
    feeds["lens"] = np.array([1, 4], np.int32)
    with pytest.raises(RunFailed, match=r"sequence_lens \[1, 4\] for 2 rows of 3 steps"):
        ReferenceSession(saved(model, tmp_path)).run(None, feeds)


def scan_model(**directions: list[int]) -> onnx.ModelProto:
    """s ← s + x over axis 1 of x (2, T); y are the sums so far, stacked along axis 1."""
    number = TensorProto.FLOAT
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["s", "half"], ["halved"]),
            helper.make_node("Add", ["halved", "x_t"], ["s_new"]),
            helper.make_node("Identity", ["s_new"], ["y_t"]),
        ],
        "body",
        [helper.make_tensor_value_info(n, number, [2]) for n in ("s", "x_t")],
        [helper.make_tensor_value_info(n, number, [2]) for n in ("s_new", "y_t")],
    )
    node = helper.make_node(
        "Scan",
        ["zero", "x"],
        ["end", "y"],
        body=body,
        num_scan_inputs=1,
        scan_input_axes=[1],
        scan_output_axes=[1],
        **directions,
    )
    graph = helper.make_graph(
        [node],
        "scan",
        [helper.make_tensor_value_info("x", number, [2, "T"])],
        [helper.make_tensor_value_info(n, number, None) for n in ("end", "y")],
        [
            numpy_helper.from_array(np.zeros(2, np.float32), "zero"),
            numpy_helper.from_array(np.array(0.5, np.float32), "half"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.mark.parametrize("into", [0, 1])
@pytest.mark.parametrize("out", [0, 1])
def test_scan_in_any_direction_and_axis(tmp_path: Path, into: int, out: int) -> None:
    """The body reads `half` from the graph around it."""
    model = scan_model(scan_input_directions=[into], scan_output_directions=[out])
    path = saved(model, tmp_path)
    feeds = {"x": np.arange(10, dtype=np.float32).reshape(2, 5)}
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for expected, received in zip(
        session.run(None, feeds), ReferenceSession(path).run_exact(None, feeds), strict=True
    ):
        np.testing.assert_array_equal(received, expected)


def test_loop_ends_by_its_condition_or_its_limit(tmp_path: Path) -> None:
    """Scalar scan outputs, which the stock operator cannot stack."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["total", "i"], ["sum"]),
            helper.make_node("Less", ["sum", "bound"], ["again"]),
            helper.make_node("Identity", ["sum"], ["each"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("total", TensorProto.INT64, []),
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.INT64, []),
            helper.make_tensor_value_info("each", TensorProto.INT64, []),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["limit", "", "start"], ["end", "y"], body=body)],
        "loop",
        [helper.make_tensor_value_info(n, TensorProto.INT64, []) for n in ("limit", "bound")],
        [helper.make_tensor_value_info(n, TensorProto.INT64, None) for n in ("end", "y")],
        [numpy_helper.from_array(np.array(0, np.int64), "start")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = ReferenceSession(saved(model, tmp_path))
    for limit, bound, expected in ((4, 100, [0, 1, 3, 6]), (9, 5, [0, 1, 3, 6])):
        end, y = session.run(None, {"limit": np.array(limit), "bound": np.array(bound)})
        assert end == expected[-1]
        assert y.tolist() == expected


def test_an_output_left_out_is_no_input_left_out(tmp_path: Path) -> None:
    """The stock evaluator would take the first operator's Y_h for the second one's lengths."""
    model = recurrent_model("LSTM")
    del model.graph.output[1:]
    model.graph.node[0].output[1:] = ["", "c_out"]
    second = helper.make_node("Clip", ["y", "", "top"], ["z"])
    model.graph.node.append(second)
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.1, np.float32), "top"))
    model.graph.output[0].name = "z"
    found = both(model, tmp_path)
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=0, atol=2e-6)
