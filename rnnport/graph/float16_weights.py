"""Constants in float16, and the weight that holds a masked step's state there."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rnnport.graph.emit import initializer
from rnnport.graph.weights import HOLD

__all__ = ["HOLD_16", "TooLarge", "check_holds", "half_array", "half_initializer"]

HOLD_16 = 1e4
"""In the place of weights.HOLD, which is infinite in float16, and a state times it no number."""

# Beyond it sigmoid, tanh and their hard sisters are exactly 0 or 1 in float16.
_SATURATED = 32.0
_MOST = 65504.0
_BOUNDED = {"tanh", "sigmoid", "hardsigmoid", "softsign"}
_GATES = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}


class TooLarge(ValueError):
    """A weight that float16 does not hold, or that may outweigh the hold weight."""


def half_array(array: NDArray[Any], name: str) -> NDArray[np.float16]:
    """Rounded to float16; hold weights become HOLD_16, and scalars that stand for infinity finite.

    Raises:
        TooLarge: a weight beyond 65504.
    """
    held = np.abs(array) >= HOLD / 10
    made = np.where(held, np.sign(array) * HOLD_16, array)
    if array.size == 1:
        made = np.where(np.isfinite(array), np.clip(array, -_MOST, _MOST), array)
    elif np.abs(made[np.isfinite(made)]).max(initial=0.0) > _MOST:
        raise TooLarge(f"{name} holds a weight of {np.abs(made).max():.3g}, float16 ends at 65504")
    return made.astype(np.float16)


def half_initializer(graph: ir.Graph, value: ir.Value) -> ir.Value:
    """The float16 twin of a float32 initialiser of the main graph."""
    assert value.const_value is not None
    name = f"{value.name}_half"
    known = graph.initializers.get(name)
    if known is None:
        known = initializer(name, half_array(value.const_value.numpy(), str(value.name)))
        graph.register_initializer(known)
    return known


def check_holds(node: ir.Node) -> None:
    """Make sure that the hold weight decides the gates it drives.

    On a masked step the inputs are zero; what is left is R h + b, with |h| at most 1.

    Raises:
        TooLarge: the sum may come too near to HOLD_16, or the state has no bound.
    """
    if node.op_type not in _GATES:
        return
    w, r, b = (_array(value) for value in node.inputs[1:4])
    driven = (np.abs(w) >= HOLD / 10).any(axis=-1)  # (D, G·U)
    if not driven.any():
        return
    # Only weights.onnx_weights makes such rows, and R and B are constants with them.
    others = np.abs(r).sum(axis=2) + np.abs(b).reshape(len(b), 2, -1).sum(axis=1)
    most = float(others[driven].max())
    named = node.attributes.get("activations")
    names = list(named.as_strings()) if named is not None else _GATES[node.op_type]
    unbounded = [name for name in names if name.lower() not in _BOUNDED]
    if unbounded:
        raise TooLarge(f"{node.name} is masked, and {unbounded[0]} gives states without bound")
    if most + _SATURATED > HOLD_16:
        raise TooLarge(f"{node.name}: other terms add up to {most:.3g}, too near to {HOLD_16:g}")


def _array(value: ir.Value | None) -> NDArray[Any]:
    """An operator's weights; zeros of no size where they are computed."""
    if value is None or value.const_value is None:
        return np.zeros((0, 0, 0), np.float32)
    return value.const_value.numpy()
