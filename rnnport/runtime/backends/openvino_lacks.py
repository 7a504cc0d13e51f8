"""What OpenVINO does not run, or runs wrong without saying so, on the CPU.

Measured on 2026.4.1 against onnxruntime and the reference, every kind, role and direction.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rnnport.runtime.backends.graph_nodes import Node, graph_nodes
from rnnport.spec import Lack

__all__ = ["last_words", "openvino_lacks"]

_ACTIVATIONS = {"sigmoid", "tanh", "relu"}
_ROLES = {"LSTM": 3, "GRU": 2, "RNN": 1}
_LENGTHS, _PEEPHOLES = 4, 7
_UNKNOWN = re.compile(r"No conversion rule found for operations: ([^\n]+)")
_NODE = re.compile(r"<Node\((\w+)\): [^>]*>': (.*?)(?:Summary:|$)", re.DOTALL)
_PLACE = re.compile(r"Exception from \S+:\s*|Check '.*?' failed at \S+\s*", re.DOTALL)


def openvino_lacks(path: Path, core: Any) -> list[Lack]:
    """Every kind of lack once, in the order of the graph.

    Args:
        path: the .onnx file.
        core: an openvino.Core.
    """
    nodes = [node for node in graph_nodes(path).nodes if node.domain == ""]
    found = [(n.op, reason) for n in nodes if n.op in _ROLES for reason in _reasons(n)]
    if any(n.op == "Scan" and any(inner.op == "Scan" for inner in n.bodies) for n in nodes):
        found.append(("Scan", "does not run inside another Scan"))
    else:
        found += _read(path, core)
    return [Lack(form=path.stem, op=op, reason=reason) for op, reason in dict.fromkeys(found)]


def _reasons(node: Node) -> list[str]:
    names = [name.lower() for name in node.strings("activations")]
    unknown = [name for name in names if name not in _ACTIVATIONS]
    each = _ROLES[node.op]
    reasons = [f"does not take activation {name}" for name in dict.fromkeys(unknown)]
    two = node.attributes.get("direction") == "bidirectional"
    if names and two and names[:each] != names[each:]:
        reasons.append("takes one direction's activations for both, without an error")
    # With clip it is taken apart into simple operators, which is right.
    if node.has(_LENGTHS) and "clip" not in node.attributes:
        reasons.append("ignores sequence_lens without an error")
    if node.op == "LSTM" and node.has(_PEEPHOLES):
        reasons.append("ignores peepholes without an error")
    if node.integer("input_forget", 0):
        reasons.append("ignores input_forget without an error")
    if node.integer("layout", 0):
        reasons.append("runs layout 1 as layout 0, without an error")
    return reasons


def _read(path: Path, core: Any) -> list[tuple[str, str]]:
    """What OpenVINO's own reader says."""
    try:
        model = core.read_model(str(path))
    except Exception as error:
        listed = _UNKNOWN.search(str(error))
        if listed is None:
            node = _NODE.search(_PLACE.sub("", str(error)))
            op, said = (node[1], node[2]) if node else ("the graph", last_words(error))
            return [(op, f"cannot be read: {' '.join(said.split())[:300]}")]
        return [(op.strip(), "is not known to OpenVINO") for op in listed[1].split(",")]
    return _untyped(model)


def _untyped(model: Any) -> list[tuple[str, str]]:
    """Loops with inputs of unknown type: they fail when they run."""
    found = []
    for op in model.get_ops():
        if op.get_type_name() in ("TensorIterator", "Loop"):
            body = op.get_function()
            if any(p.get_element_type().is_dynamic() for p in body.get_parameters()):
                found.append(("Scan", "has an input in its body without a declared type"))
            found += _untyped(body)
    return found


def last_words(error: Exception) -> str:
    """What an OpenVINO error says, without the places in its sources."""
    return " ".join(_PLACE.sub("", str(error)).split())[-300:]
