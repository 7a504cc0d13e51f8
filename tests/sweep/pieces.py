"""What models of the sweep have besides Keras: cells and activations, each with its source."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import tensorflow as tf
import tf_keras

from tests import tiny_cells
from tests.keras2 import cells as keras2_cells


@keras.saving.register_keras_serializable("rnnport_sweep")
def keras2_hard_sigmoid(x: Any) -> Any:
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable("rnnport_sweep")
def clip(x: Any) -> Any:
    return keras.ops.clip(x, -0.7, 0.8)


@tf_keras.utils.register_keras_serializable("rnnport_sweep")
def hard_sigmoid_by_hand(x: Any) -> Any:
    return tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0)


@tf_keras.utils.register_keras_serializable("rnnport_sweep")
def clip_by_value(x: Any) -> Any:
    return tf.clip_by_value(x, -0.7, 0.8)


ACTIVATIONS = {
    "keras": {"keras2_hard_sigmoid": keras2_hard_sigmoid, "clip": clip},
    "tf_keras": {"keras2_hard_sigmoid": hard_sigmoid_by_hand, "clip": clip_by_value},
}
CELLS = {
    "keras": {
        "Minimal": tiny_cells.Minimal,
        "TwoStates": tiny_cells.TwoStates,
        "NormalisedLSTMCell": tiny_cells.NormalisedLSTMCell,
        "Grid": tiny_cells.Grid,
    },
    "tf_keras": {
        "Minimal": keras2_cells.Minimal,
        "TwoStates": keras2_cells.TwoStates,
        "NormalisedLSTMCell": keras2_cells.NormalisedLSTMCell,
    },
}
OWN: dict[str, dict[str, Any]] = {
    name: {**CELLS[name], **{f.__name__: f for f in ACTIVATIONS[name].values()}} for name in CELLS
}

_V1 = "from tf_keras.src.layers.rnn.{0}_v1 import {1} as {1}V1"
_CUDNN = "from tf_keras.src.layers.rnn.cudnn_{0} import {1}"
_IMPORTS = {
    "LSTMV1": _V1.format("lstm", "LSTM"),
    "GRUV1": _V1.format("gru", "GRU"),
    "CuDNNLSTM": _CUDNN.format("lstm", "CuDNNLSTM"),
    "CuDNNGRU": _CUDNN.format("gru", "CuDNNGRU"),
}


def header(framework: str) -> list[str]:
    """Imports and short names that the pieces and the models use."""
    common = ["from typing import Any", "", "import numpy as np", "import tensorflow as tf"]
    if framework == "tf_keras":
        return [*common, "import tf_keras as keras", "", "L = layers = keras.layers"]
    return [*common, "import keras", "from keras import ops", "", "L = layers = keras.layers"]


def imports(names: list[str]) -> list[str]:
    """Import lines of the layers that Keras 2 keeps to itself."""
    return [_IMPORTS[name] for name in names if name in _IMPORTS]


def sources(framework: str, names: list[str], package: str) -> list[str]:
    """Definitions of the pieces of these names.

    Args:
        framework: "keras" or "tf_keras".
        names: of pieces.
        package: under which they are registered, so that Keras can copy layers of them.
    """
    own = OWN[framework]
    return [_plain(inspect.getsource(own[n]), framework, package) for n in names if n in own]


def _plain(text: str, framework: str, package: str) -> str:
    """Registered elsewhere, and without notes for type checkers."""
    module = "keras.saving" if framework == "keras" else "keras.utils"
    registered = f'@{module}.register_keras_serializable("{package}")'
    lines = [registered if line.startswith("@") else line for line in text.splitlines()]
    return "\n".join(line.split("  # type:")[0] for line in lines)
