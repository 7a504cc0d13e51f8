"""astrorapid's ZTF classifier, rebuilt from its Keras 2 file, and two checks of that.

The file says what the model is: its model_config is read, and what the rebuilding does not know
is refused. Keras 2's hard_sigmoid is clip(0.2x + 0.5, 0, 1); Keras 3's has another slope.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from fetch import package_file
from numpy.typing import NDArray

__all__ = ["CLASSES", "model_file", "numpy_steps", "rebuild"]

CLASSES = (  # astrorapid/classify.py, Classify.__init__, model_name "ZTF_unknown_redshift"
    "Pre-explosion",
    "SNIa-norm",
    "SNIbc",
    "SNII",
    "SNIa-91bg",
    "SNIa-x",
    "Kilonova",
    "SLSN-I",
    "TDE",
)
KNOWN = {"activation": "tanh", "recurrent_activation": "hard_sigmoid", "use_bias": True}
PLAIN = {"return_sequences": True, "go_backwards": False, "stateful": False, "time_major": False}

Array = NDArray[Any]


def model_file() -> Path:
    """The published file.

    Raises:
        Unavailable: the package cannot be downloaded.
    """
    return package_file(
        "astrorapid==0.2.17",
        "astrorapid/ZTF_unknown_redshift.hdf5",
        "d68ed438c2d2e4f6f4e7a86e3eb1e02b1afb9946295f3b3225ecd788a4bad967",
    )


def rebuild(path: Path) -> Any:
    """The same model in Keras 3, any number of steps long."""
    import keras

    layers = _configs(path)
    features = layers[0]["features"]
    model = keras.Sequential([keras.Input((None, features), name="flux")], name="rapid_ztf")
    for layer in layers:
        model.add(_BUILD[layer["class"]](keras, layer["config"]))
        model.layers[-1].set_weights(layer["weights"])
    return model


def numpy_steps(path: Path, fluxes: Array) -> Array:
    """The probabilities by Keras 2's definitions, step by step in float64, for (T, F) fluxes."""
    masking, *cells, dense = _configs(path)
    states = [np.zeros((2, layer["config"]["units"])) for layer in cells]
    kernel, bias = (w.astype(np.float64) for w in dense["weights"])
    results, y = [], np.zeros(len(kernel))
    for x in fluxes.astype(np.float64):
        if (x != masking["config"]["mask_value"]).any():
            for index, layer in enumerate(cells):
                states[index] = _lstm_step(x, states[index], layer["weights"])
                x = states[index][0]
            y = x
        exps = np.exp(y @ kernel + bias - (y @ kernel + bias).max())
        results.append(exps / exps.sum())
    return np.stack(results)


def _lstm_step(x: Array, state: Array, weights: list[Array]) -> Array:
    """The next h and c, (2, U); gates stand i, f, c, o."""
    kernel, recurrent, bias = weights
    h, c = state
    i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
    c = _hard_sigmoid(f) * c + _hard_sigmoid(i) * np.tanh(g)
    return np.stack([_hard_sigmoid(o) * np.tanh(c), c])


def _hard_sigmoid(x: Array) -> Array:
    return np.clip(0.2 * x + 0.5, 0.0, 1.0)


def _configs(path: Path) -> list[dict[str, Any]]:
    """Every layer: class, config, weights, and on the first the number of features."""
    with h5py.File(path) as file:
        config = json.loads(file.attrs["model_config"])["config"]
        layers = []
        for layer in config["layers"]:
            group = file["model_weights"][layer["config"]["name"]]
            weights = [np.asarray(group[name]) for name in group.attrs["weight_names"]]
            layers.append(
                {"class": layer["class_name"], "config": layer["config"], "weights": weights}
            )
    layers[0]["features"] = config["build_input_shape"][-1]
    return layers


def _masking(keras: Any, config: dict[str, Any]) -> Any:
    return keras.layers.Masking(config["mask_value"], name=config["name"])


def _lstm(keras: Any, config: dict[str, Any]) -> Any:
    wanted = KNOWN | PLAIN
    found = {name: config[name] for name in wanted}
    if found != wanted:
        raise ValueError(f"{config['name']} is not the LSTM this was written for: {found}")

    def keras2_hard_sigmoid(x: Any) -> Any:
        return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)

    return keras.layers.LSTM(
        config["units"],
        recurrent_activation=keras2_hard_sigmoid,
        return_sequences=True,
        name=config["name"],
    )


def _dense(keras: Any, config: dict[str, Any]) -> Any:
    inner = config["layer"]["config"]
    dense = keras.layers.Dense(inner["units"], activation=inner["activation"], name=inner["name"])
    return keras.layers.TimeDistributed(dense, name=config["name"])


_BUILD: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "Masking": _masking,
    "LSTM": _lstm,
    "TimeDistributed": _dense,
}
