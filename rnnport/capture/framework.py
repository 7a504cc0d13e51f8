"""The two generations of Keras, and what each calls the same thing.

Keras 3 is always at hand; tf_keras (Keras 2) counts only once somebody imported it. Methods are
taken here as the framework defines them, before anything is patched.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import tensorflow as tf

from rnnport.recurrent import CellKind

__all__ = [
    "KERAS",
    "Framework",
    "as_written",
    "cell_state",
    "framework_of",
    "frameworks",
    "is_stack",
    "keras2",
    "starts_by_itself",
    "state_structure",
    "takes",
    "zero_state",
]


@dataclass(frozen=True, eq=False)
class Framework:
    """One generation of Keras.

    Attributes:
        name: "keras" or "tf_keras".
        module: the package.
        kinds: classes of the recurrent layers, by the name reports use.
        rnn_calls: `call` of its recurrent layers.
        inner_loops: `inner_loop` of its recurrent layers; empty where it has no such method.
        cells: formula, class and `call` of its standard cells.
        stacked: `call` of StackedRNNCells.
    """

    name: str
    module: Any
    kinds: tuple[tuple[str, tuple[type, ...]], ...]
    rnn_calls: frozenset[Any]
    inner_loops: frozenset[Any]
    cells: tuple[tuple[CellKind, type, Any], ...]
    stacked: Any

    @property
    def layers(self) -> Any:
        """Its layer classes."""
        return self.module.layers

    @property
    def label(self) -> str:
        """Name and version, for the manifest."""
        return f"{self.name} {self.module.__version__}"


def as_written(owner: type, name: str) -> Any:
    """A method as the class defines it, whatever stands in its place while tracing."""
    method = getattr(owner, name, None)
    return getattr(method, "__wrapped__", method)


def _cells(layers: Any) -> tuple[tuple[CellKind, type, Any], ...]:
    return (
        ("LSTM", layers.LSTMCell, layers.LSTMCell.call),
        ("GRU", layers.GRUCell, layers.GRUCell.call),
        ("SimpleRNN", layers.SimpleRNNCell, layers.SimpleRNNCell.call),
    )


KERAS = Framework(
    name="keras",
    module=keras,
    kinds=tuple((kind, (getattr(keras.layers, kind),)) for kind in ("LSTM", "GRU", "SimpleRNN")),
    rnn_calls=frozenset(
        owner.call
        for owner in (keras.layers.RNN, keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)
    ),
    inner_loops=frozenset(
        owner.inner_loop for owner in (keras.layers.RNN, keras.layers.LSTM, keras.layers.GRU)
    ),
    cells=_cells(keras.layers),
    stacked=keras.layers.StackedRNNCells.call,
)


@cache
def keras2() -> Framework:
    """tf_keras, imported.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    import tf_keras
    from tf_keras.src.layers.rnn import base_rnn, gru, gru_v1, lstm, lstm_v1, simple_rnn

    return Framework(
        name="tf_keras",
        module=tf_keras,
        kinds=(
            ("LSTM", (lstm.LSTM, lstm_v1.LSTM)),
            ("GRU", (gru.GRU, gru_v1.GRU)),
            ("SimpleRNN", (simple_rnn.SimpleRNN,)),
        ),
        rnn_calls=frozenset(
            owner.call
            for owner in (
                base_rnn.RNN,
                lstm.LSTM,
                gru.GRU,
                lstm_v1.LSTM,
                gru_v1.GRU,
                simple_rnn.SimpleRNN,
            )
        ),
        inner_loops=frozenset({None}),
        cells=_cells(tf_keras.layers),
        stacked=tf_keras.layers.StackedRNNCells.call,
    )


def frameworks() -> tuple[Framework, ...]:
    """Those whose objects can be around."""
    return (KERAS, keras2()) if "tf_keras" in sys.modules else (KERAS,)


def framework_of(thing: Any) -> Framework | None:
    """The framework whose layer, cell or model this is."""
    for framework in frameworks():
        if isinstance(thing, framework.layers.Layer):
            return framework
    return None


def zero_state(layer: Any, sequences: Any) -> Any:
    """The layer's own initial state for sequences (B, T, F), or a nest of them."""
    batch = tf.shape(keras.tree.flatten(sequences)[0])[0]
    if framework_of(layer) is KERAS:
        return layer.get_initial_state(batch_size=batch)
    return cell_state(layer.cell, batch)


def starts_by_itself(part: Any) -> bool:
    """Whether a user's subclass of a layer or cell has an initial state of its own."""
    return any(
        "get_initial_state" in vars(owner)
        and not owner.__module__.startswith(("keras.", "tf_keras."))
        for owner in type(part).__mro__
    )


def state_structure(layer: Any) -> Any:
    """Tensors nested as the layer nests its states."""
    if framework_of(layer) is KERAS:
        return layer.get_initial_state(1)
    return cell_state(layer.cell)


def cell_state(cell: Any, batch: Any = 1) -> Any:
    """A cell's own initial state; zeros of state_size where the cell does not say.

    Args:
        cell: any cell; need not be a layer.
        batch: rows.
    """
    own = getattr(cell, "get_initial_state", None)
    if own is None:
        return _zeros(cell.state_size, batch)
    if "inputs" in inspect.signature(own).parameters:  # as Keras 2 has it
        return own(inputs=None, batch_size=batch, dtype=tf.float32)
    return own(batch_size=batch)


def _zeros(sizes: Any, batch: Any) -> Any:
    """Zeros (B, …) for a size, a shape, or a nest of those."""
    if isinstance(sizes, int):
        return tf.zeros((batch, sizes))
    if isinstance(sizes, tf.TensorShape):
        return tf.zeros((batch, *sizes))
    flat = [_zeros(one, batch) for one in sizes]
    return type(sizes)(*flat) if hasattr(sizes, "_fields") else type(sizes)(flat)


def is_stack(cell: Any) -> bool:
    """Whether the cell chains others as Keras's own does, states in the order of the cells."""
    call = as_written(type(cell), "call")
    chained = any(call is framework.stacked for framework in frameworks())
    return chained and not getattr(cell, "reverse_state_order", False)


def takes(layer: Any, argument: str) -> bool:
    """Whether the layer's `call` has an argument of this name."""
    if framework_of(layer) is KERAS:
        return bool(getattr(layer, f"_call_has_{argument}_arg"))
    return argument in inspect.signature(layer.call).parameters
