"""Why a cell does not become a fused operator: what ONNX lacks, or the target's runtime."""

from __future__ import annotations

from rnnport.graph.activations import roles
from rnnport.recurrent import Activation, CellSpec

__all__ = ["like_directions", "obstacle"]

# OpenVINO 2026.4 on CPU refuses all others aloud.
_OPENVINO = {"Sigmoid", "Tanh", "Relu"}


def obstacle(cell: CellSpec, target: str) -> str:
    """Why no fused operator computes the cell there; empty where one does."""
    for activation in cell.activations:
        if activation.obstacle:
            return activation.obstacle
        if target == "openvino" and activation.op not in _OPENVINO:
            return f"OpenVINO's {cell.kind} does not take activation {_label(activation)}"
    if target == "openvino" and cell.peephole is not None:
        return "OpenVINO's LSTM ignores peepholes"
    return ""


def like_directions(one: CellSpec, other: CellSpec, target: str) -> bool:
    """Whether the target's runtime lets two directions of one operator differ as these do.

    OpenVINO takes the first direction's activations for both, without complaint.
    """
    if target != "openvino":
        return True
    return all(a.same_as(b) for a, b in zip(roles(one), roles(other), strict=True))


def _label(activation: Activation) -> str:
    return activation.label or activation.op
