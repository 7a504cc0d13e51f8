"""How much every step of a graph multiplies with: sizes of its recurrent weights."""

from __future__ import annotations

from collections import defaultdict

import onnx_ir as ir

__all__ = ["step_weights"]

_OPERATORS = ("LSTM", "GRU", "RNN")


def step_weights(model: ir.Model) -> dict[str, list[int]]:
    """Numbers in the weights of each recurrent operator, and of the body of each Scan.

    Biases and what stands outside of a Scan are left out.
    """
    found: dict[str, list[int]] = defaultdict(list)
    for node in model.graph:
        if node.op_type in _OPERATORS:
            found[node.op_type].append(sum(_size(value) for value in node.inputs[1:3]))
        elif node.op_type == "Scan":
            found["Scan"].append(sum(_matrices(node)))
    return {op: sizes for op, sizes in sorted(found.items()) if any(sizes)}


def _matrices(scan: ir.Node) -> list[int]:
    """Sizes of the constants of two or more axes that its body reads, each once."""
    seen = {
        id(value): value
        for node in scan.attributes["body"].as_graph().all_nodes()
        for value in node.inputs
        if value is not None and value.const_value is not None
    }
    return [_size(value) for value in seen.values() if len(value.shape or ()) > 1]


def _size(value: ir.Value | None) -> int:
    return 0 if value is None or value.const_value is None else value.const_value.size
