"""Operators that onnx's evaluator has no implementation of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from onnx.reference.op_run import RuntimeContextError
from onnx.reference.ops import load_op

from rnnport.runtime.backends.graph_nodes import Node, graph_nodes
from rnnport.runtime.backends.reference_ops import OPERATORS
from rnnport.spec import Lack

__all__ = ["reference_lacks"]

_OWN = {cls.__name__ for cls in OPERATORS}


def reference_lacks(path: Path) -> list[Lack]:
    """One entry for each operator, in the order of the graph."""
    graph = graph_nodes(path)
    missing = dict.fromkeys(
        (node.domain, node.op) for node in graph.nodes if not _known(node, graph.opsets)
    )
    return [
        Lack(form=path.stem, op=op, reason=f"onnx's evaluator does not have it{_of(domain)}")
        for domain, op in missing
    ]


def _of(domain: str) -> str:
    return f", domain {domain}" if domain else ""


def _known(node: Node, opsets: Mapping[str, int]) -> bool:
    if node.domain:
        return False
    if node.op in _OWN:
        return True
    try:
        load_op("", node.op, opsets.get("", 1))
    except RuntimeContextError:
        return True  # a function of operators, whose form depends on its inputs
    except (NotImplementedError, RuntimeError):
        return False
    return True
