"""Bare cells: (x_t, states…) to (y, states…)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import tree

from rnnport.capture.cells import flat_cells
from rnnport.capture.source import Input, Source, pack
from rnnport.capture.specs import shape_of
from rnnport.errors import MissingSignature
from rnnport.spec import Structure

__all__ = ["from_cell", "is_cell", "layer_of_cell"]


def is_cell(layer: Any) -> bool:
    """Whether the layer computes one step."""
    return hasattr(layer, "state_size") and not isinstance(
        layer, (keras.layers.RNN, keras.layers.Bidirectional, keras.Model)
    )


def from_cell(cell: Any, kind: str, signature: Any) -> Source:
    """A bare cell: (x_t, states…) to (y, states…)."""
    if not cell.built:
        if signature is None:
            raise MissingSignature.of(
                f"cell {cell.name!r}",
                "a cell that was never built",
                "known input features",
                "call cell.build((None, features)), or pass input_signature="
                "[tf.TensorSpec([None, features], tf.float32)]",
            )
        cell.build(shape_of(tree.flatten(signature)[0]))
    features = _cell_features(cell, signature)
    states = _initial_state(cell)
    states = states if tree.is_nested(states) else [states]
    leaves = tree.flatten(states)
    state_names = _state_names(cell, len(leaves))
    inputs = (
        Input("x", "float32", (None, features)),
        *(
            Input(f"{name}_in", "float32", (None, *leaf.shape[1:]))
            for name, leaf in zip(state_names, leaves, strict=True)
        ),
    )

    def call(flat: Sequence[Any]) -> Any:
        output, finals = cell(flat[0], pack(states, flat[1:]))
        return (output, *tree.flatten(finals))

    names = [i.name for i in inputs]
    return Source(
        name=cell.name,
        kind=f"cell ({kind})",
        call=call,
        inputs=inputs,
        structure=Structure(kind="tuple", items=[Structure(kind="leaf", name=n) for n in names]),
        layer=cell,
        output_names=("y", *(f"{name}_out" for name in state_names)),
    )


def _initial_state(cell: Any) -> Any:
    """Of one row; zeros of state_size where the cell does not say, as Keras's RNN has it."""
    own = getattr(cell, "get_initial_state", None)
    if own is not None:
        return own(batch_size=1)
    sizes = cell.state_size if isinstance(cell.state_size, (list, tuple)) else [cell.state_size]
    return [keras.ops.zeros((1, size)) for size in sizes]


def layer_of_cell(source: Source) -> Source | None:
    """The cell over a whole sequence, x (B, T, F) to y (B, T, U); None for other models."""
    if not source.kind.startswith("cell ("):
        return None
    layer = keras.layers.RNN(source.layer, return_sequences=True, name=source.name)
    features = source.inputs[0].shape[-1]

    def call(flat: Sequence[Any]) -> Any:
        return layer(flat[0])

    return Source(
        name=source.name,
        kind=source.kind,
        call=call,
        inputs=(Input("x", "float32", (None, None, features)),),
        structure=Structure(kind="leaf", name="x"),
        layer=layer,
        output_names=source.output_names[:1],
    )


def _cell_features(cell: Any, signature: Any) -> int:
    if signature is not None:
        size = shape_of(tree.flatten(signature)[0])[-1]
        if size is not None:
            return size
    chain = flat_cells(cell)
    if chain:
        return int(chain[0].kernel.shape[0])
    shapes = getattr(cell, "_build_shapes_dict", None) or {"": (None, 1)}
    return int(next(iter(shapes.values()))[-1])


def _state_names(cell: Any, count: int) -> list[str]:
    chain = flat_cells(cell)
    if chain is None:
        return [f"state{i}" for i in range(count)]
    letters = {keras.layers.LSTMCell: ("h", "c")}
    per_cell = [
        letters[keras.layers.LSTMCell] if isinstance(c, keras.layers.LSTMCell) else ("h",)
        for c in chain
    ]
    if len(chain) == 1:
        return list(per_cell[0])
    return [f"cell{i}_{letter}" for i, group in enumerate(per_cell) for letter in group]
