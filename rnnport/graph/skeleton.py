"""The skeleton: plain ONNX plus rnnport's own nodes, and what each of them means."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from rnnport.carried import ContextSpec, PoolSpec
from rnnport.custom import BeginSpec, CustomSpec
from rnnport.recurrent import RecurrentSpec

__all__ = [
    "BEGIN",
    "CONTEXT",
    "CUSTOM",
    "DOMAIN",
    "OP",
    "POOL",
    "Skeleton",
    "Spec",
    "op_of",
    "token_of",
]

DOMAIN = "rnnport"
OP, CUSTOM, BEGIN, CONTEXT, POOL = "Recurrent", "Custom", "StepBegin", "Context", "Pool"

Spec = RecurrentSpec | CustomSpec | BeginSpec | ContextSpec | PoolSpec

_OPS: dict[type, str] = {
    RecurrentSpec: OP,
    CustomSpec: CUSTOM,
    BeginSpec: BEGIN,
    ContextSpec: CONTEXT,
    PoolSpec: POOL,
}


def token_of(node: ir.Node) -> str:
    """The token of a node of DOMAIN."""
    return node.attributes["token"].as_string()


def op_of(spec: Spec) -> str:
    """The operator of DOMAIN that stands for a call."""
    return _OPS[type(spec)]


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A traced model before its recurrent layers are lowered.

    Attributes:
        model: the graph; nodes of DOMAIN carry a string attribute `token`.
        specs: token to the call it stands for.
    """

    model: ir.Model
    specs: dict[str, Spec]

    def nodes(self, op: str) -> list[ir.Node]:
        """Every node of this operator of DOMAIN, subgraphs included, in topological order."""
        return [n for n in self.model.graph.all_nodes() if (n.domain, n.op_type) == (DOMAIN, op)]

    def recurrent_nodes(self) -> list[ir.Node]:
        """Every `Recurrent` node, subgraphs included, in topological order."""
        return self.nodes(OP)

    def custom_nodes(self) -> list[ir.Node]:
        """Every `Custom` node, subgraphs included, in topological order."""
        return self.nodes(CUSTOM)

    def any_spec(self, node: ir.Node) -> Spec:
        """What a node of DOMAIN stands for."""
        return self.specs[token_of(node)]

    def spec(self, node: ir.Node) -> RecurrentSpec:
        """What a `Recurrent` node stands for."""
        found = self.any_spec(node)
        assert isinstance(found, RecurrentSpec)
        return found

    def custom_spec(self, node: ir.Node) -> CustomSpec:
        """What a `Custom` node stands for."""
        found = self.any_spec(node)
        assert isinstance(found, CustomSpec)
        return found

    def layer_spec(self, node: ir.Node) -> RecurrentSpec | CustomSpec:
        """What a `Recurrent` or `Custom` node stands for."""
        found = self.any_spec(node)
        assert isinstance(found, (RecurrentSpec, CustomSpec))
        return found

    def copy(self) -> Skeleton:
        """A copy that can be lowered without touching this one; weights are shared."""
        return Skeleton(self.model.clone(), dict(self.specs))
