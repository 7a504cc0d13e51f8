"""Reads shapes, dtypes and argument names off whatever describes them."""

from __future__ import annotations

import inspect
from typing import Any

__all__ = ["dtype_of", "positional_names", "shape_of", "static_shape"]


def dtype_of(spec: Any) -> str:
    """NumPy dtype name of a spec; float32 where it has none."""
    dtype = getattr(spec, "dtype", None)
    if dtype is None:
        return "float32"
    return str(getattr(dtype, "name", dtype))


def shape_of(spec: Any) -> tuple[int | None, ...]:
    """Sizes of a spec, None where open."""
    if hasattr(spec.shape, "as_list"):
        return static_shape(spec)
    return tuple(None if d is None else int(d) for d in spec.shape)


def static_shape(tensor: Any) -> tuple[int | None, ...]:
    """Sizes known while building a graph; TensorFlow 1 scripts may have them as Dimension."""
    return tuple(tensor.shape.as_list())


def positional_names(function: Any, *, required: bool = False) -> list[str]:
    """Names of the tensors a call takes by position; those without a default where required."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        name
        for name, p in inspect.signature(function).parameters.items()
        if p.kind in kinds
        and name not in ("training", "mask", "self")
        and not (required and p.default is not inspect.Parameter.empty)
    ]
