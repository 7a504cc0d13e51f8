"""Activations are recognised by what they compute."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime as ort
import pytest
import tensorflow as tf

import rnnport
from rnnport.capture.activation import recognise
from rnnport.capture.onnx_body import activation_body
from tests.tiny_keras import assert_same, lively, normal

K = keras.ops
A = keras.activations
L = keras.layers

RECOGNISED: dict[str, tuple[Callable[[Any], Any], str, float | None, float | None]] = {
    "tanh": (A.tanh, "Tanh", None, None),
    "a lambda tanh": (lambda x: K.tanh(x), "Tanh", None, None),
    "tf.tanh": (tf.math.tanh, "Tanh", None, None),
    "sigmoid": (A.sigmoid, "Sigmoid", None, None),
    "relu": (A.relu, "Relu", None, None),
    "relu as a layer": (L.ReLU(), "Relu", None, None),
    "relu by maximum": (lambda x: K.maximum(x, 0.0), "Relu", None, None),
    "linear": (A.linear, "Affine", 1.0, 0.0),
    "affine": (lambda x: 0.7 * x + 0.1, "Affine", 0.7, 0.1),
    "falling affine": (lambda x: 3.0 - 2.0 * x, "Affine", -2.0, 3.0),
    "keras 3 hard_sigmoid": (A.hard_sigmoid, "HardSigmoid", 1 / 6, 0.5),
    "keras 2 hard_sigmoid": (lambda x: K.clip(0.2 * x + 0.5, 0, 1), "HardSigmoid", 0.2, 0.5),
    "a third hard_sigmoid": (lambda x: K.clip(0.25 * x + 0.4, 0, 1), "HardSigmoid", 0.25, 0.4),
    "softsign": (A.softsign, "Softsign", None, None),
    "softsign by hand": (lambda x: x / (1.0 + K.abs(x)), "Softsign", None, None),
    "softplus": (A.softplus, "Softplus", None, None),
    "elu": (A.elu, "Elu", 1.0, None),
    "elu as a layer": (L.ELU(0.4), "Elu", 0.4, None),
    "celu of 1": (A.celu, "Elu", 1.0, None),
    "leaky_relu": (A.leaky_relu, "LeakyRelu", 0.2, None),
    "leaky as a layer": (L.LeakyReLU(0.35), "LeakyRelu", 0.35, None),
    "leaky by relu": (L.ReLU(negative_slope=0.1), "LeakyRelu", 0.1, None),
    "activation as a layer": (L.Activation("softsign"), "Softsign", None, None),
    "scaled tanh": (lambda x: 1.7159 * K.tanh(2 / 3 * x), "ScaledTanh", 1.7159, 2 / 3),
    "threshold": (
        functools.partial(A.threshold, threshold=0.3, default_value=0.0),
        "ThresholdedRelu",
        0.3,
        None,
    ),
}


@pytest.mark.parametrize("label", RECOGNISED)
def test_recognised(label: str) -> None:
    function, op, alpha, beta = RECOGNISED[label]
    found = recognise(function)
    assert found is not None
    assert found.op == op
    assert found.fusable == (op != "Softplus")
    assert found.alpha == (None if alpha is None else pytest.approx(alpha, rel=3e-7))
    assert found.beta == (None if beta is None else pytest.approx(beta, rel=3e-7))


UNKNOWN: dict[str, Callable[[Any], Any]] = {
    "gelu": A.gelu,
    "swish": A.swish,
    "softmax": A.softmax,
    "selu": A.selu,
    "relu6": A.relu6,
    "capped relu": L.ReLU(max_value=2.0),
    "hard_tanh": A.hard_tanh,
    "hard_swish": A.hard_silu,
    "mish": A.mish,
    "exponential": A.exponential,
    "celu of 0.5": functools.partial(A.celu, alpha=0.5),
    "shrink": A.hard_shrink,
    "less the row's mean": lambda x: x - K.mean(x, axis=-1, keepdims=True),
    "less the column's mean": lambda x: x - K.mean(x, axis=0, keepdims=True),
    "turned round": lambda x: K.flip(x, axis=-1),
    "almost tanh": lambda x: K.tanh(x) + 1e-5,
    "tanh, but not far out": lambda x: K.where(K.abs(x) > 100.0, 0.0, K.tanh(x)),
    "not a number": lambda x: K.log(x),
}


@pytest.mark.parametrize("label", UNKNOWN)
def test_not_recognised(label: str) -> None:
    assert recognise(UNKNOWN[label]) is None


@pytest.mark.parametrize("label", [k for k in UNKNOWN if k != "not a number"])
def test_bodies_compute_the_same(label: str) -> None:
    function = UNKNOWN[label]
    body = activation_body(function)
    session = ort.InferenceSession(body, providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    for batch, units in ((1, 4), (5, 3)):
        x = 4.0 * normal(batch, units)
        expected = np.asarray(function(tf.constant(x)))
        (received,) = session.run(None, {port.name: x})
        assert received.shape == expected.shape
        assert np.abs(received - expected).max() <= 1e-6 * max(1.0, np.abs(expected).max())


def test_a_function_of_another_shape_or_type_is_not_recognised() -> None:
    assert recognise(lambda x: x[:, :1]) is None
    assert recognise(lambda x: K.cast(x, "float64")) is None


def test_an_activation_with_weights_of_its_own(tmp_path: Path) -> None:
    x = keras.Input((None, 3))
    model = lively(keras.Model(x, L.LSTM(4, activation=L.PReLU())(x)))
    artifact = rnnport.export(model, tmp_path / "out")
    assert [layer.lowering for layer in artifact.manifest.layers] == ["Scan"]
    a = normal(3, 6, 3)
    assert_same(model(a), rnnport.load(artifact).run(a))
