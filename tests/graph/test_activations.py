from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest

import rnnport
from rnnport.graph.activations import (
    activation_attributes,
    emit_activation,
    holds_state,
)
from rnnport.graph.emit import Emitter
from rnnport.recurrent import Activation, CellKind, RecurrentSpec
from tests.graph.numpy_cells import activate, cell
from tests.graph.skeletons import assert_like_numpy, draw, one_layer, value
from tests.tiny_keras import assert_same, lively, normal, ops

L = keras.layers
SIXTH = 1 / 6
NAMED = {
    "Tanh": Activation("Tanh"),
    "Sigmoid": Activation("Sigmoid"),
    "Relu": Activation("Relu"),
    "Affine": Activation("Affine", 0.7, 0.1),
    "LeakyRelu": Activation("LeakyRelu", 0.3),
    "ThresholdedRelu": Activation("ThresholdedRelu", 0.2),
    "ScaledTanh": Activation("ScaledTanh", 0.9, 0.6),
    "HardSigmoid": Activation("HardSigmoid", SIXTH, 0.5),
    "Elu": Activation("Elu", 0.8),
    "Softsign": Activation("Softsign"),
    "Softplus": Activation("Softplus"),
}


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_defaults_are_left_out(kind: CellKind) -> None:
    assert activation_attributes([cell(kind)]) == {}
    assert activation_attributes([cell(kind), cell(kind, seed=1)]) == {}


def test_parameters_stand_in_order_without_gaps() -> None:
    """One alpha for each activation that takes one, one beta likewise: they are no positions."""
    forward = cell("LSTM", activation=NAMED["Elu"], recurrent_activation=NAMED["HardSigmoid"])
    backward = cell("LSTM", activation=NAMED["ScaledTanh"])
    assert activation_attributes([forward, backward]) == {
        "activations": ["HardSigmoid", "Elu", "Elu", "Sigmoid", "ScaledTanh", "ScaledTanh"],
        "activation_alpha": [SIXTH, 0.8, 0.8, 0.9, 0.9],
        "activation_beta": [0.5, 0.6, 0.6],
    }
    assert activation_attributes([cell("SimpleRNN", activation="Relu")]) == {
        "activations": ["Relu"]
    }
    gru = cell("GRU", activation=NAMED["LeakyRelu"], recurrent_activation=NAMED["HardSigmoid"])
    assert activation_attributes([gru]) == {
        "activations": ["HardSigmoid", "LeakyRelu"],
        "activation_alpha": [SIXTH, 0.3],
        "activation_beta": [0.5],
    }


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_every_named_activation_in_onnxruntime(kind: CellKind, name: str) -> None:
    spec = RecurrentSpec("layer", kind, (cell(kind, activation=NAMED[name], seed=3),))
    ready = one_layer(spec)
    assert ready.ops["Scan"] == (name == "Softplus")
    assert_like_numpy(spec, ready, draw(spec, 3, 6))


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_every_named_gate_in_onnxruntime(kind: CellKind, name: str) -> None:
    """Two parameter-taking activations in one operator: the lists are read in order."""
    one = cell(kind, activation=NAMED["Elu"], recurrent_activation=NAMED[name], seed=4)
    spec = RecurrentSpec("layer", kind, (one,))
    inputs = draw(spec, 3, 5)
    inputs["x"] *= np.float32(0.3)  # gates without an upper bound let the state run away
    assert_like_numpy(spec, one_layer(spec), inputs)


@pytest.mark.parametrize("name", NAMED)
def test_far_from_zero(name: str) -> None:
    """No named activation overflows where its exact value does not."""
    one = cell("SimpleRNN", features=1, units=1, activation=NAMED[name])
    one.kernel[:], one.recurrent_kernel[:], one.bias[:] = 1.0, 0.0, 0.0
    spec = RecurrentSpec("layer", "SimpleRNN", (one,))
    points = np.array([-3e4, -700.0, -100.0, -89.0, 0.0, 60.0, 89.0, 100.0, 700.0, 3e4], np.float32)
    assert_like_numpy(spec, one_layer(spec), {"x": points[:, None, None]})


def test_softplus_is_not_left_to_the_fused_operator() -> None:
    """onnxruntime's kernels compute log(1 + exp(x)): infinity above 88."""
    one = cell("GRU", activation=NAMED["Softplus"], seed=5)
    (report,) = one_layer(RecurrentSpec("layer", "GRU", (one,))).reports
    assert report.lowering == "Scan"
    assert report.reason == "activation softplus overflows in onnxruntime's fused operators"


@pytest.mark.parametrize("name", NAMED)
def test_as_plain_nodes(name: str) -> None:
    x = value("x", ["B", "U"])
    graph = ir.Graph([x], [], nodes=[], opset_imports={"": 18}, name="act")
    y = emit_activation(Emitter(graph), NAMED[name], x)
    y.type, y.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(["B", "U"])
    graph.outputs.append(y)
    proto = ir.to_proto(ir.Model(graph, ir_version=10))
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    points = np.linspace(-5, 5, 1001, dtype=np.float32)[:, None]
    points = points[np.abs(points - 0.2) > 1e-3][:, None]  # ThresholdedRelu jumps there
    (received,) = session.run(None, {"x": points})
    assert np.abs(received - activate(NAMED[name], points.astype(np.float64))).max() <= 1e-6


def test_which_gates_hold() -> None:
    held = {
        kind: [n for n in NAMED if holds_state(cell(kind, recurrent_activation=NAMED[n]))]
        for kind in ("LSTM", "GRU", "SimpleRNN")
    }
    assert held == {
        "LSTM": ["Sigmoid", "HardSigmoid"],
        "GRU": ["Tanh", "Sigmoid", "HardSigmoid", "Softsign"],
        "SimpleRNN": [],
    }


BIDIRECTIONAL: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "hard gate, then tanh": (
        "LSTM",
        {"recurrent_activation": "sigmoid", "activation": "tanh"},
        {"recurrent_activation": "hard_sigmoid", "activation": "elu"},
    ),
    "leaky, then hard gate": (
        "LSTM",
        {"activation": "leaky_relu"},
        {"recurrent_activation": "hard_sigmoid", "activation": "tanh"},
    ),
    "hard gate both, elu one": (
        "GRU",
        {"recurrent_activation": "hard_sigmoid", "activation": "tanh"},
        {"recurrent_activation": "hard_sigmoid", "activation": "elu"},
    ),
    "linear, then elu": ("SimpleRNN", {"activation": "linear"}, {"activation": "elu"}),
}


@pytest.mark.parametrize("label", BIDIRECTIONAL)
def test_directions_that_differ(label: str, tmp_path: Path) -> None:
    kind, forward, backward = BIDIRECTIONAL[label]
    x = keras.Input((None, 3))
    both = L.Bidirectional(
        getattr(L, kind)(4, return_sequences=True, **forward),
        backward_layer=getattr(L, kind)(4, return_sequences=True, go_backwards=True, **backward),
    )
    net = lively(keras.Model(x, both(x)))
    artifact = rnnport.export(net, tmp_path / "out")
    assert ops(artifact)["RNN" if kind == "SimpleRNN" else kind] == 1
    sequence = normal(3, 9, 3)
    assert_same(net(sequence), rnnport.load(artifact).run(sequence))
