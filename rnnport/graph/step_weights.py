"""How much a graph multiplies at every step, from the sizes of its recurrent weights."""

from __future__ import annotations

import math
from collections import defaultdict

import onnx_ir as ir

__all__ = ["step_weights"]

_OPERATORS = ("LSTM", "GRU", "RNN")


def step_weights(model: ir.Model) -> dict[str, list[int]]:
    """Multiplications that a step of one row takes in each recurrent operator and body of a Scan.

    As many as there are weights; a convolution uses each of its own at every place. Biases and what
    stands outside of a Scan are left out.
    """
    found: dict[str, list[int]] = defaultdict(list)
    for node in model.graph:
        if node.op_type in _OPERATORS:
            found[node.op_type].append(sum(_size(value) for value in node.inputs[1:3]))
        elif node.op_type == "Scan":
            found["Scan"].append(_of_body(node.attributes["body"].as_graph()))
    return {op: sizes for op, sizes in sorted(found.items()) if any(sizes)}


def _of_body(body: ir.Graph) -> int:
    seen: dict[int, int] = {}
    places = max((math.prod(_static(value)[2:]) for value in body.inputs), default=1)
    for node in body.all_nodes():
        for value in node.inputs:
            if value is not None and value.const_value is not None and len(value.shape or ()) > 1:
                seen[id(value)] = _size(value) * (places if node.op_type == "Conv" else 1)
    return sum(seen.values())


def _static(value: ir.Value) -> list[int]:
    """A shape with 1 for every size that is open."""
    return [size if isinstance(size, int) else 1 for size in value.shape or ()]


def _size(value: ir.Value | None) -> int:
    return 0 if value is None or value.const_value is None else value.const_value.size
