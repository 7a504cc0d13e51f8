"""Mends descriptions of models that older versions of Keras wrote otherwise.

Each repair looks at one node {"class_name", "config"} and says what it did, or nothing. What has no
effect on inference (initialisers, regularisers, constraints) never keeps a model from being read.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from rnnport.capture.keras2.first_input import Shape, add_input, is_whole
from rnnport.capture.keras2.safety import nodes

__all__ = ["repair"]

Node = dict[str, Any]

# Names that layers had for a while.
_RENAMED = {"UnifiedLSTM": "LSTM", "UnifiedGRU": "GRU", "LSTMV2": "LSTM", "GRUV2": "GRU"}
_TRAINING_ONLY = {
    "initializer": "initializers",
    "regularizer": "regularizers",
    "constraint": "constraints",
}


def repair(
    config: Node, weights: Mapping[str, Shape], custom_objects: Mapping[str, Any]
) -> tuple[Node, tuple[str, ...]]:
    """A description that tf_keras reads as its authors meant it.

    Args:
        config: the model_config of an HDF5 file.
        weights: shape of the first weight of every layer.
        custom_objects: names that are not Keras's.

    Returns:
        The mended description, and a line for every kind of repair, naming the layers.
    """
    config = copy.deepcopy(config)
    done: dict[str, list[str]] = {}
    for node in list(nodes(config)):
        if not isinstance(node.get("class_name"), str) or "config" not in node:
            continue
        for mend in _repairs(weights, custom_objects):
            what = mend(node)
            if what:
                done.setdefault(what, []).append(_name(node))
    return config, tuple(_line(what, names) for what, names in done.items())


def _name(node: Node) -> str:
    inner = node["config"]
    named = inner.get("name") if isinstance(inner, dict) else None
    return str(named or node["class_name"])


def _line(what: str, names: list[str]) -> str:
    return f"{what} ({', '.join(dict.fromkeys(names))})"


def _repairs(
    weights: Mapping[str, Shape], custom_objects: Mapping[str, Any]
) -> tuple[Callable[[Node], str], ...]:
    return (
        _as_dict,
        lambda node: _class_name(node, custom_objects),
        _cudnn,
        _reset_after,
        _ids,
        lambda node: _training_only(node, custom_objects),
        lambda node: _input(node, weights),
    )


def _as_dict(node: Node) -> str:
    """Keras before 2.2.3 wrote a Sequential as a bare list of its layers."""
    if node["class_name"] != "Sequential" or not isinstance(node["config"], list):
        return ""
    node["config"] = {"name": str(node.get("name") or "sequential"), "layers": node["config"]}
    return "a Sequential written as a list of layers was read as one"


def _class_name(node: Node, custom_objects: Mapping[str, Any]) -> str:
    """A path to a class where its name is meant, or a name it had for a while."""
    written = str(node["class_name"])
    name = written if written in custom_objects else written.split(".")[-1].split(">")[-1]
    name = _RENAMED.get(name, name)
    if name == written or written in custom_objects or not _is_layer(name):
        return ""
    node["class_name"] = name
    return f"class {written} was read as {name}"


def _is_layer(name: str) -> bool:
    from rnnport.capture.framework import keras2

    return hasattr(keras2().layers, name) or hasattr(keras2().module, name)


def _cudnn(node: Node) -> str:
    written = node["class_name"]
    if written not in ("CuDNNLSTM", "CuDNNGRU"):
        return ""
    node["class_name"] = written.removeprefix("CuDNN")
    node["config"] |= {"activation": "tanh", "recurrent_activation": "sigmoid"}
    if written == "CuDNNGRU":
        node["config"]["reset_after"] = True
    return f"{written}, which runs on GPUs alone, was read as the equal {node['class_name']}"


def _reset_after(node: Node) -> str:
    gru = node["class_name"] in ("GRU", "GRUCell")
    if not gru or not isinstance(node["config"], dict) or "reset_after" in node["config"]:
        return ""
    node["config"]["reset_after"] = False
    return "a GRU without reset_after, as older versions wrote it, was read as reset_after=False"


def _ids(node: Node) -> str:
    """Keras 2.0 wrote the dtype of what comes in where that of the weights has stood since."""
    inner = node["config"]
    if node["class_name"] != "Embedding" or not is_whole(inner.get("dtype")):
        return ""
    return f"dtype {inner.pop('dtype')} of an Embedding, as older versions wrote it, is its ids'"


def _training_only(node: Node, custom_objects: Mapping[str, Any]) -> str:
    """Drop what cannot be read and does not matter once a model is trained."""
    inner = node["config"]
    if not isinstance(inner, dict):
        return ""
    dropped = [
        key
        for key, value in inner.items()
        if value is not None and not _readable(key, value, custom_objects)
    ]
    for key in dropped:
        inner[key] = "zeros" if key.endswith("initializer") else None
    return f"unknown {', '.join(dropped)} left out, without effect on inference" if dropped else ""


def _readable(key: str, value: Any, custom_objects: Mapping[str, Any]) -> bool:
    from rnnport.capture.framework import keras2

    module = _TRAINING_ONLY.get(key.rsplit("_", 1)[-1])
    if module is None or key.startswith("activity"):
        return True
    try:
        with keras2().module.utils.custom_object_scope(dict(custom_objects)):
            getattr(keras2().module, module).get(copy.deepcopy(value))
    except Exception:  # whatever reading it raises
        return False
    return True


def _input(node: Node, weights: Mapping[str, Shape]) -> str:
    inner = node["config"]
    if node["class_name"] != "Sequential" or not isinstance(inner, dict):
        return ""
    return add_input(inner, weights) if isinstance(inner.get("layers"), list) else ""
