"""The skeleton: plain ONNX plus `rnnport::Recurrent` nodes, and what each of them means."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from rnnport.recurrent import RecurrentSpec

__all__ = ["DOMAIN", "OP", "Skeleton"]

DOMAIN = "rnnport"
OP = "Recurrent"


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A traced model before its recurrent layers are lowered.

    Attributes:
        model: the graph; `Recurrent` nodes carry a string attribute `token`.
        specs: token to the recurrent call it stands for.
    """

    model: ir.Model
    specs: dict[str, RecurrentSpec]

    def recurrent_nodes(self) -> list[ir.Node]:
        """Every `Recurrent` node, subgraphs included, in topological order."""
        return [n for n in self.model.graph.all_nodes() if (n.domain, n.op_type) == (DOMAIN, OP)]

    def spec(self, node: ir.Node) -> RecurrentSpec:
        """What a `Recurrent` node stands for."""
        return self.specs[node.attributes["token"].as_string()]
