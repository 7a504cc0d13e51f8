"""The input shape of a Sequential model whose file does not say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["add_input", "first_weights", "is_whole"]

Shape = tuple[int, ...]

_MODELS = ("Sequential", "Model", "Functional")
_RECURRENT = ("LSTM", "GRU", "RNN", "Bidirectional", "TimeDistributed", "Conv1D")
_TO_SEQUENCE = ("RepeatVector", "Reshape", "Embedding")
_SHAPE_KEYS = ("batch_input_shape", "batch_shape", "input_shape", "build_input_shape")


def first_weights(group: Any) -> dict[str, Shape]:
    """Shape of the first weight of every layer that has any.

    Args:
        group: "model_weights" of an HDF5 file.
    """
    found: dict[str, Shape] = {}
    for name in group:
        names = group[name].attrs.get("weight_names", [])
        if len(names):
            first = names[0].decode() if isinstance(names[0], bytes) else str(names[0])
            found[str(name)] = tuple(group[name][first].shape)
    return found


def add_input(config: dict[str, Any], weights: Mapping[str, Shape]) -> str:
    """Give the first layer an input shape where the file has none.

    Args:
        config: of a Sequential; "layers" is a list of layers.
        weights: shape of the first weight of every layer.

    Returns:
        What was done, or "".
    """
    layers: list[dict[str, Any]] = config["layers"]
    _keep_ids(layers)
    if not layers or config.get("build_input_shape") or layers[0]["class_name"] in _MODELS:
        return ""
    first = layers[0]["config"]
    if layers[0]["class_name"] == "InputLayer" or any(first.get(key) for key in _SHAPE_KEYS):
        return ""
    shape = _inner_shape(first) or _from_weights(layers, weights)
    if shape is None:
        return ""
    first["batch_input_shape"] = shape
    shown = ", ".join("None" if size is None else str(size) for size in shape)
    return f"no input shape in the file: taken from its weights as ({shown})"


def is_whole(dtype: Any) -> bool:
    """Whether a dtype, as a description names it, is one of whole numbers."""
    return isinstance(dtype, str) and dtype.startswith(("int", "uint"))


def _keep_ids(layers: list[dict[str, Any]]) -> None:
    """An Embedding that starts a Sequential and names the dtype of its ids gets an input of it."""
    first = layers[0]["config"] if layers else {}
    if not layers or layers[0]["class_name"] != "Embedding" or not is_whole(first.get("dtype")):
        return
    shape = first.get("batch_input_shape") or [None, first.get("input_length")]
    named = {"name": f"{first.get('name')}_input", "dtype": first["dtype"], "sparse": False}
    node = {"class_name": "InputLayer", "config": {"batch_input_shape": shape, **named}}
    layers.insert(0, node)


def _inner_shape(first: Mapping[str, Any]) -> list[int | None] | None:
    """A wrapper's layer may know."""
    inner = (first.get("layer") or {}).get("config") or {}
    shape: list[int | None] | None = inner.get("batch_input_shape")
    return shape


def _from_weights(
    layers: Sequence[Mapping[str, Any]], weights: Mapping[str, Shape]
) -> list[int | None] | None:
    kinds = [str(layer["class_name"]) for layer in layers]
    names = [str(layer["config"].get("name")) for layer in layers]
    holder = next((n for n, name in enumerate(names) if name in weights), None)
    if holder is None:
        return None
    kind, shape = kinds[holder], weights[names[holder]]
    if kind == "Embedding":
        return [None, layers[holder]["config"].get("input_length")]
    if kind == "Conv1D":
        return [None, None, shape[1]]
    if len(shape) > 2:
        return None
    return [None, None, shape[0]] if _is_sequence(kinds) else [None, shape[0]]


def _is_sequence(kinds: Sequence[str]) -> bool:
    """Whether the model starts with a sequence: a recurrent layer before anything makes one."""
    for kind in kinds:
        if kind in _TO_SEQUENCE:
            return False
        if kind.endswith(_RECURRENT):
            return True
    return False
