"""Refusals that can be made before tracing; every reason is collected and raised once."""

from __future__ import annotations

from typing import Any

from keras import tree

from rnnport.capture.framework import KERAS, framework_of
from rnnport.capture.source import Source
from rnnport.errors import Reason, UnsupportedModel

__all__ = ["refuse_dtypes", "refuse_policies", "refuse_ragged"]


def refuse_policies(model: Any) -> None:
    """Refuse models that do not compute in float32.

    Raises:
        UnsupportedModel: names every layer whose dtype policy is not float32.
    """
    layers = [model, *(getattr(model, "_flatten_layers", lambda **_: [])(include_self=False))]
    cells = {id(cell) for layer in layers for cell in _inner_cells(layer)}
    named: dict[str, list[str]] = {}
    for layer in layers:
        policy = layer.dtype_policy
        dtypes = {str(policy.compute_dtype), str(policy.variable_dtype)}
        if id(layer) in cells:  # its layer is named
            continue
        if any(d.startswith(("float", "bfloat")) and d != "float32" for d in dtypes):
            named.setdefault(policy.name, []).append(layer.name)
    if named:
        raise UnsupportedModel(
            *(
                Reason(
                    f"dtype policy {policy!r} of {', '.join(names)}",
                    policy,
                    "float32",
                    f"rebuild the model under {_policy_setter(model)}('float32') and "
                    "copy the weights with set_weights",
                )
                for policy, names in named.items()
            )
        )


def _policy_setter(model: Any) -> str:
    if framework_of(model) is KERAS:
        return "keras.config.set_dtype_policy"
    return "tf_keras.mixed_precision.set_global_policy"


def _inner_cells(layer: Any) -> list[Any]:
    """The cells of a recurrent layer or stack that compute as their owner does."""
    cell = getattr(layer, "cell", None)
    owned = [cell] if cell is not None else list(getattr(layer, "cells", None) or [])
    return [c for c in owned if _policy_name(c) == _policy_name(layer)]


def _policy_name(layer: Any) -> str | None:
    name: str | None = getattr(getattr(layer, "dtype_policy", None), "name", None)
    return name


def refuse_ragged(struct: Any) -> None:
    """Refuse inputs that are no plain arrays.

    Args:
        struct: nested input tensors of a functional model.

    Raises:
        UnsupportedModel: names every ragged or sparse input.
    """
    kinds = ("ragged", "sparse")
    found = [
        (leaf.name, kind)
        for leaf in tree.flatten(struct)
        for kind in kinds
        if type(leaf).__name__.lower().startswith(kind) or getattr(leaf, kind, False)
    ]
    if found:
        remedy = "rebuild it with plain inputs, padded and masked, and copy the weights"
        raise UnsupportedModel(
            *(Reason(f"input {name!r}", f"{kind} rows", "arrays", remedy) for name, kind in found)
        )


def refuse_dtypes(source: Source) -> None:
    """Refuse inputs that are not numbers or booleans.

    Raises:
        UnsupportedModel: names every such input.
    """
    strings = [i.name for i in source.inputs if i.dtype in ("string", "object")]
    if strings:
        raise UnsupportedModel(
            *(
                Reason(
                    f"input {name!r}",
                    "dtype string",
                    "numbers or booleans",
                    "export the part of the model behind the lookup, and look the ids up in "
                    "Python with the layer's vocabulary",
                )
                for name in strings
            )
        )
