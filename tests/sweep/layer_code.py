"""Recurrent layers and cells of a stack as source text."""

from __future__ import annotations

from typing import Any

from tests.sweep import pieces
from tests.sweep.code import Code, Raw, call_text, unlike
from tests.sweep.stack import ALONE, Layer

CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell")
_OUTER = {
    "return_sequences": False,
    "return_state": False,
    "go_backwards": False,
    "stateful": False,
    "unroll": False,
    "zero_output_for_mask": False,
    "time_major": False,
}
_CELL = {
    "activation": "tanh",
    "use_bias": True,
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
    "recurrent_activation": "sigmoid",
    "implementation": 2,
    "reset_after": True,
}


def recurrent(
    code: Code,
    layer: Layer,
    sequences: bool,
    *,
    states: bool = True,
    backwards: bool | None = None,
    units: int | None = None,
    kind: str = "",
    inner: bool = False,
) -> Raw:
    """One layer, unwrapped.

    Args:
        code: told of what the text needs.
        layer: its options.
        sequences: return_sequences.
        states: return_state.
        backwards: go_backwards, where not the layer's own.
        units: where not the layer's own.
        kind: where not the layer's own.
        inner: whether it stands inside TimeDistributed, with a length of its own.
    """
    outer = {
        "return_sequences": sequences,
        "return_state": states,
        "go_backwards": layer.go_backwards if backwards is None else backwards,
        "stateful": layer.stateful and not inner,
        "unroll": layer.unroll and not inner,
        "zero_output_for_mask": layer.zero_output_for_mask,
        "time_major": layer.legacy == "time_major",
    }
    kind, units = kind or layer.kind, units or layer.units
    if kind not in ALONE:
        return call_text("layers.RNN", _inside(code, layer, kind, units), **unlike(outer, _OUTER))
    if layer.legacy == "CuDNN":
        del outer["unroll"], outer["zero_output_for_mask"]
        return call_text(code.need(f"CuDNN{kind}"), units, **unlike(outer, _OUTER))
    options = cell_options(code, kind, layer)
    if layer.legacy == "v1" and kind != "SimpleRNN":  # with other defaults
        return call_text(code.need(f"{kind}V1"), units, **options, **unlike(outer, _OUTER))
    return call_text(f"layers.{kind}", units, **unlike(options, _CELL), **unlike(outer, _OUTER))


def flat_states(layer: Layer) -> bool:
    """Whether Keras gives the states in a plain list."""
    return layer.kind not in ("StackedRNNCells", "mixed stack")


def cell_width(code: Code, layer: Layer) -> int:
    """Features of what a step gives."""
    if layer.kind == "custom cell":
        return _own_width(code, layer)
    if layer.kind == "mixed stack" and not layer.implementation % 2:
        return _own_width(code, layer)
    return layer.units


def single_cell(layer: Layer) -> str:
    """The cell of a layer of kind RNN(cell)."""
    return CELLS[(layer.units + 1) % 3]


def _inside(code: Code, layer: Layer, kind: str, units: int) -> Any:
    """What RNN runs: a cell, or several."""
    if kind == "RNN(cell)":
        return _cell(code, single_cell(layer), layer, units)
    if kind == "StackedRNNCells":
        cells = [_cell(code, name, layer, units) for name in CELLS[: 2 + layer.units % 2]]
        return call_text("layers.StackedRNNCells", cells)
    if kind == "custom cell":
        return _own_cell(code, layer, units)
    standard = _cell(code, ["LSTMCell", "GRUCell"][layer.units % 2], layer, units)
    cells = [standard, _own_cell(code, layer, units), _cell(code, "GRUCell", layer, units)]
    return cells[: 2 + layer.implementation % 2]


def _own_kind(code: Code, layer: Layer) -> str:
    kinds = list(pieces.CELLS[code.framework])
    return kinds[(layer.units - 1) % len(kinds)]


def _own_cell(code: Code, layer: Layer, units: int) -> Raw:
    kind = _own_kind(code, layer)
    sizes = {"TwoStates": (units, 2), "Grid": ()}.get(kind, (units,))
    return call_text(code.need(kind), *sizes)


def _own_width(code: Code, layer: Layer) -> int:
    return {"TwoStates": 3, "Grid": 12}.get(_own_kind(code, layer), layer.units)


def _cell(code: Code, kind: str, layer: Layer, units: int) -> Raw:
    return call_text(f"layers.{kind}", units, **unlike(cell_options(code, kind, layer), _CELL))


def activation(code: Code, name: str) -> str:
    """An activation's name, or that of a function written beside the model."""
    own = pieces.ACTIVATIONS[code.framework].get(name)
    return name if own is None else code.need(own.__name__)


def cell_options(code: Code, kind: str, layer: Layer) -> dict[str, Any]:
    """What a standard cell, or a layer of it, is made with."""
    given: dict[str, Any] = {
        "activation": activation(code, layer.activation),
        "use_bias": layer.use_bias,
        "dropout": layer.dropout,
        "recurrent_dropout": layer.dropout,
    }
    if kind.startswith(("LSTM", "GRU")):
        given["recurrent_activation"] = activation(code, layer.recurrent_activation)
        if not kind.endswith("Cell"):
            given["implementation"] = layer.implementation
    if kind.startswith("GRU"):
        given["reset_after"] = layer.reset_after
    return given
