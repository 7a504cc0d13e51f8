"""Bounds of inputs that are indices: OpenVINO's Gather gives zeros for those out of range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnport.runtime.backends.base import Array

__all__ = ["id_bounds", "out_of_range"]

# Operators whose output holds the values of their first input.
_CARRIERS = {
    "Convert",
    "Concat",
    "Identity",
    "Reshape",
    "Squeeze",
    "StridedSlice",
    "Transpose",
    "Unsqueeze",
}
_INT32 = 1 << 31


def id_bounds(model: Any) -> dict[str, int]:
    """The size of the smallest table that each integer input indexes, by input name.

    Args:
        model: an openvino.Model, as read.
    """
    found = {}
    for parameter in model.get_parameters():
        output = parameter.output(0)
        if output.get_element_type().is_integral_number():
            bound = min(_bounds(output), default=_INT32)
            found.update(dict.fromkeys(output.get_names(), bound))
    return found


def _bounds(output: Any) -> list[int]:
    bounds = []
    for target in output.get_target_inputs():
        node = target.get_node()
        kind = node.get_type_name()
        if kind == "Gather" and target.get_index() == 1:
            axis = int(node.input_value(2).get_node().get_data().item())
            size = node.input(0).get_partial_shape()[axis]
            bounds += [size.get_length()] if size.is_static else []
        elif kind in _CARRIERS and target.get_index() == 0:
            bounds += _bounds(node.output(0))
    return bounds


def out_of_range(bounds: Mapping[str, int], arrays: Mapping[str, Array]) -> str:
    """Which input holds an index that has no entry; "" where none does.

    Negative ones count from the end, as in ONNX. 64-bit integers are cut to 32 bits by OpenVINO.
    """
    for name, bound in bounds.items():
        array = arrays.get(name)
        if array is None or array.size == 0:
            continue
        low, high = int(array.min()), int(array.max())
        if low < -bound or high >= bound:
            worst = high if high >= bound else low
            return f"input {name!r} holds {worst}, which is not within [{-bound}, {bound - 1}]"
    return ""
