"""Refuses descriptions of Keras 2 models that would run code or reach for foreign modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rnnport.capture.opened import code_inside, unknown_inside
from rnnport.errors import UnsupportedModel

__all__ = ["nodes", "refuse_code", "refuse_unknown"]

_HOME = ("keras", "tf_keras", "builtins")
# Parts of TensorFlow that a computation has no need of and that reach beyond it.
_OUTSIDE = ("io.", "data.", "raw_ops.", "saved_model.", "train.", "compat.", "distribute.", "debug")
_OUTSIDE_FUNCTIONS = ("py_function", "numpy_function", "load_library", "load_op_library", "print")
_LAMBDA_TYPES = ("function_type", "output_shape_type", "mask_type")


def refuse_code(config: Any, custom_objects: Mapping[str, Any], path: Path) -> None:
    """Look through a model's description before anything is made of it.

    Args:
        config: parsed JSON.
        custom_objects: what the user vouches for.
        path: where it stands, for messages.

    Raises:
        UnsupportedModel: it holds marshalled code, names a module that is not Keras's, or an
            operation that reaches outside of the model.
    """
    for node in nodes(config):
        inner = node.get("config")
        if _is_code(node, inner if isinstance(inner, dict) else {}):
            raise code_inside(path)
        if _is_foreign(node, custom_objects):
            raise unknown_inside(path, "class", str(node["class_name"]))
        if node.get("class_name") == "TFOpLambda":
            _refuse_outside(str((inner or {}).get("function", "")), path)


def refuse_unknown(config: Any, custom_objects: Mapping[str, Any], path: Path) -> None:
    """Refuse layers nobody knows; tf_keras would carry on with their names in their places.

    Args:
        config: a model's description, mended.
        custom_objects: what the user vouches for.
        path: where it stands, for messages.

    Raises:
        UnsupportedModel: names the first such class.
    """
    from tf_keras.src.layers import serialization
    from tf_keras.src.saving.object_registration import get_registered_object

    serialization.populate_deserializable_objects()
    known = serialization.LOCAL.ALL_OBJECTS
    for node in _layers(config):
        name = str(node["class_name"])
        if get_registered_object(name, dict(custom_objects), known) is None:
            raise unknown_inside(path, "layer", name)


def _layers(config: Any) -> Iterator[dict[str, Any]]:
    """The descriptions of layers and cells, however deep."""
    for node in nodes(config):
        parts = [node.get(key) for key in ("layer", "backward_layer", "cell")]
        for several in (node.get("layers"), node.get("cells")):
            parts += several if isinstance(several, list) else []
        yield from (p for p in parts if isinstance(p, dict) and "class_name" in p)


def nodes(config: Any) -> Iterator[dict[str, Any]]:
    """Every dict in nested JSON."""
    if isinstance(config, dict):
        yield config
    if isinstance(config, (dict, list)):
        for value in config.values() if isinstance(config, dict) else config:
            yield from nodes(value)


def _is_code(node: Mapping[str, Any], inner: Mapping[str, Any]) -> bool:
    if node.get("class_name") in ("__lambda__", "__tuple_lambda__"):
        return True
    if any(inner.get(key) == "lambda" for key in _LAMBDA_TYPES):
        return True
    return node.get("class_name") == "Lambda" and isinstance(inner.get("function"), list)


def _is_foreign(node: Mapping[str, Any], custom_objects: Mapping[str, Any]) -> bool:
    module, name = node.get("module"), node.get("class_name")
    if not isinstance(module, str) or not isinstance(name, str) or "config" not in node:
        return False
    if module.split(".")[0] in _HOME:
        return False
    from tf_keras.src.saving.object_registration import get_registered_object

    registered = node.get("registered_name") or name
    known = {name, registered, node["config"] if name == "function" else name}
    given = any(isinstance(k, str) and k in custom_objects for k in known)
    return not given and get_registered_object(registered) is None


def _refuse_outside(symbol: str, path: Path) -> None:
    if symbol.startswith(_OUTSIDE) or symbol.split(".")[-1] in _OUTSIDE_FUNCTIONS:
        raise UnsupportedModel.of(
            f"model in {path}",
            f"the TensorFlow function {symbol!r}",
            "functions that compute",
            "build the model in Python without it, load its weights and export the live object",
        )
