"""Builds the Keras models that the sweep draws, in Keras 3 or in tf_keras."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
import tf_keras
from tf_keras.src.layers.rnn import gru_v1, lstm_v1
from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU
from tf_keras.src.layers.rnn.cudnn_lstm import CuDNNLSTM

from tests import tiny_cells
from tests.keras2 import cells as keras2_cells
from tests.sweep_draw import Layer, Stack
from tests.sweep_weights import randomise

_V1 = {"LSTM": lstm_v1.LSTM, "GRU": gru_v1.GRU}
_CUDNN = {"LSTM": CuDNNLSTM, "GRU": CuDNNGRU}


@keras.saving.register_keras_serializable("rnnport_sweep")
def _keras2_hard_sigmoid(x: Any) -> Any:
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable("rnnport_sweep")
def _clip(x: Any) -> Any:
    return keras.ops.clip(x, -0.7, 0.8)


@tf_keras.utils.register_keras_serializable("rnnport_sweep")
def _hard_sigmoid_by_hand(x: Any) -> Any:
    return tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0)


@tf_keras.utils.register_keras_serializable("rnnport_sweep")
def _clip_by_value(x: Any) -> Any:
    return tf.clip_by_value(x, -0.7, 0.8)


_FUNCTIONS: dict[str, dict[str, Any]] = {
    "keras": {"keras2_hard_sigmoid": _keras2_hard_sigmoid, "clip": _clip},
    "tf_keras": {"keras2_hard_sigmoid": _hard_sigmoid_by_hand, "clip": _clip_by_value},
}


class _Builder:
    """Turns a Stack into a functional Keras model."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.keras = {"keras": keras, "tf_keras": tf_keras}[stack.framework]
        self.layers = self.keras.layers
        self.batch = 4 if any(layer.stateful for layer in stack.layers) else None
        self.time = 7 if any(layer.unroll for layer in stack.layers) else None
        self.inputs: list[Any] = []
        self.states: list[Any] = []
        self.hand_over: list[Any] = []
        self.mask: Any = None

    def input(self, shape: tuple[int | None, ...], dtype: str = "float32") -> Any:
        tensor = self.keras.Input(batch_shape=(self.batch, *shape), dtype=dtype)
        self.inputs.append(tensor)
        return tensor

    def build(self) -> Any:
        x = self._front()
        last = len(self.stack.layers) - 1
        for index, layer in enumerate(self.stack.layers):
            sequences = index < last or self.stack.return_sequences
            x = self._recurrent(layer, x, sequences, final=index == last)
            x = self._after(layer.after, x, sequences)
        outputs = [x, *self.states] if self.stack.return_state else x
        model = self.keras.Model(self.inputs, outputs)
        randomise(model, self.stack)
        return model

    def _front(self) -> Any:
        front = self.stack.front
        if front in ("Embedding", "mask_zero"):
            ids = self.input((self.time,), "int32")
            embedding = self.layers.Embedding(
                11, self.stack.features, mask_zero=front == "mask_zero"
            )
            return embedding(ids)
        x = self.input((self.time, self.stack.features))
        if front == "Masking":
            return self.layers.Masking(0.0)(x)
        if front == "mask input":
            self.mask = self.input((self.time,), "bool")
        return x

    def _recurrent(self, layer: Layer, x: Any, sequences: bool, *, final: bool) -> Any:
        """One layer over (B, T, F), whatever order of axes it likes."""
        call: dict[str, Any] = {} if self.mask is None else {"mask": self.mask}
        if layer.legacy != "time_major":
            return self._as_it_likes(layer, x, sequences, call, final=final)
        call = {name: tf.transpose(mask) for name, mask in call.items()}
        y = self._as_it_likes(layer, tf.transpose(x, [1, 0, 2]), sequences, call, final=final)
        return tf.transpose(y, [1, 0, 2]) if sequences else y

    def _as_it_likes(
        self, layer: Layer, x: Any, sequences: bool, call: dict[str, Any], *, final: bool
    ) -> Any:
        if layer.kind == "ConvLSTM":
            return self._convolutional(layer, x, sequences, call)
        if layer.wrapper == "TimeDistributed":
            return self._time_distributed(layer, x, sequences)
        if layer.wrapper:
            return self._bidirectional(layer, x, sequences, call, final=final)
        states = self._initial_state(layer, x)
        if states:
            call["initial_state"] = states
        outputs = self._layer(layer, sequences)(x, **call)
        self.hand_over = keras.tree.flatten(list(outputs[1:]))
        self.states.extend(self.hand_over)
        return outputs[0]

    def _time_distributed(self, layer: Layer, x: Any, sequences: bool) -> Any:
        """(B, T, F) seen as T inner sequences of two steps."""
        doubled = self.layers.Dense(2 * 3)(x)
        inner = self.layers.Reshape((self.time or -1, 2, 3))(doubled)
        y = self.layers.TimeDistributed(self._layer(layer, False, states=False, inner=True))(inner)
        return y if sequences else self.layers.GlobalAveragePooling1D()(y)

    def _convolutional(self, layer: Layer, x: Any, sequences: bool, call: dict[str, Any]) -> Any:
        """(B, T, F) seen as T images of six pixels in a row."""
        images = self.layers.Reshape((self.time or -1, 6, 1))(self.layers.Dense(6)(x))
        inner = self.layers.ConvLSTM1D(
            1 + layer.units % 3,
            1 + layer.units % 4,
            padding="same",
            return_sequences=sequences,
            activation=self._activation(layer.activation),
            recurrent_activation=self._activation(layer.recurrent_activation),
            use_bias=layer.use_bias,
            dropout=layer.dropout,
            recurrent_dropout=layer.dropout,
            go_backwards=layer.go_backwards and not layer.wrapper,
            stateful=layer.stateful,
            **({"unroll": True} if layer.unroll else {}),
        )
        if layer.wrapper:
            inner = self.layers.Bidirectional(inner, merge_mode=layer.wrapper)
        y = inner(images, **call)
        flat = int(y.shape[-2] * y.shape[-1])
        return self.layers.Reshape((self.time or -1, flat) if sequences else (flat,))(y)

    def _bidirectional(
        self, layer: Layer, x: Any, sequences: bool, call: dict[str, Any], *, final: bool
    ) -> Any:
        self.hand_over = []
        if layer.wrapper == "backward_layer":
            # Keras sizes what follows by the forward layer: another size fits only at the end.
            wider = int(final and layer.after in ("", "Dropout"))
            other = self._layer(
                layer, sequences, states=False, backwards=True, units=layer.units + wider
            )
            wrapped = self.layers.Bidirectional(
                self._layer(layer, sequences, states=False, backwards=False), backward_layer=other
            )
            return wrapped(x, **call)
        merge = None if layer.wrapper == "None" else layer.wrapper
        # Keras 3.15 fails in its own compute_mask where a stateful one returns its states.
        states = not layer.stateful or self.keras is tf_keras
        inner = self._layer(layer, sequences, states=states, backwards=False)
        wrapped = self.layers.Bidirectional(inner, merge_mode=merge)
        outputs = wrapped(x, **call)
        if merge is None:
            y, reverse, *states = outputs
            self.states.extend(keras.tree.flatten(states))
            return self.layers.Subtract()([y, reverse])
        if not states:
            return outputs
        self.states.extend(keras.tree.flatten(list(outputs[1:])))
        return outputs[0]

    def _initial_state(self, layer: Layer, x: Any) -> list[Any]:
        if layer.kind not in ("LSTM", "GRU", "SimpleRNN"):
            return []
        count = 2 if layer.kind == "LSTM" else 1
        if layer.initial_state == "given":
            return [self.input((layer.units,)) for _ in range(count)]
        if layer.initial_state == "from previous" and self.hand_over:
            source = self.hand_over[0]
            return [self.layers.Dense(layer.units)(source) for _ in range(count)]
        return []

    def _layer(
        self,
        layer: Layer,
        sequences: bool,
        *,
        states: bool = True,
        backwards: bool | None = None,
        units: int | None = None,
        inner: bool = False,
    ) -> Any:
        outer: dict[str, Any] = {
            "return_sequences": sequences,
            "return_state": states,
            "go_backwards": layer.go_backwards if backwards is None else backwards,
            "stateful": layer.stateful and not inner,
            "unroll": layer.unroll and not inner,
            "zero_output_for_mask": layer.zero_output_for_mask,
            **({"time_major": True} if layer.legacy == "time_major" else {}),
        }
        units = units or layer.units
        if layer.kind == "RNN(cell)":
            return self.layers.RNN(self._cell("GRUCell", layer, units), **outer)
        if layer.kind == "StackedRNNCells":
            kinds = ["LSTMCell", "GRUCell", "SimpleRNNCell"][: 2 + layer.units % 2]
            cells = [self._cell(kind, layer, units) for kind in kinds]
            return self.layers.RNN(self.layers.StackedRNNCells(cells), **outer)
        if layer.kind == "custom cell":
            return self.layers.RNN(self._own_cell(layer, units), **outer)
        if layer.kind == "mixed stack":
            standard = self._cell(["LSTMCell", "GRUCell"][layer.units % 2], layer, units)
            cells = [standard, self._own_cell(layer, units), self._cell("GRUCell", layer, units)]
            return self.layers.RNN(cells[: 2 + layer.implementation % 2], **outer)
        if layer.legacy == "CuDNN":
            del outer["unroll"], outer["zero_output_for_mask"]
            return _CUDNN[layer.kind](units, **outer)
        kind = _V1[layer.kind] if layer.legacy == "v1" else getattr(self.layers, layer.kind)
        return kind(units, **self._cell_options(layer.kind, layer), **outer)

    def _own_cell(self, layer: Layer, units: int) -> Any:
        cells = keras2_cells if self.keras is tf_keras else tiny_cells
        kinds = [cells.Minimal, lambda n: cells.TwoStates(n, 2), cells.NormalisedLSTMCell]
        return kinds[layer.units % 3](units)

    def _activation(self, name: str) -> Any:
        return _FUNCTIONS[self.stack.framework].get(name, name)

    def _cell(self, kind: str, layer: Layer, units: int) -> Any:
        return getattr(self.layers, kind)(units, **self._cell_options(kind, layer))

    def _cell_options(self, kind: str, layer: Layer) -> dict[str, Any]:
        given: dict[str, Any] = {
            "activation": self._activation(layer.activation),
            "use_bias": layer.use_bias,
            "dropout": layer.dropout,
            "recurrent_dropout": layer.dropout,
        }
        if kind.startswith(("LSTM", "GRU")):
            given["recurrent_activation"] = self._activation(layer.recurrent_activation)
            if not kind.endswith("Cell"):
                given["implementation"] = layer.implementation
        if kind.startswith("GRU"):
            given["reset_after"] = layer.reset_after
        return given

    def _after(self, name: str, x: Any, sequences: bool) -> Any:
        if name == "Dropout":
            return self.layers.Dropout(0.4)(x)
        if name == "Dense":
            return self.layers.Dense(3)(x)
        if name == "LayerNormalization" and x.shape[-1] > 1:  # of one feature it is constant
            return self.layers.LayerNormalization()(x)
        if name == "BatchNorm":
            return self.layers.BatchNormalization()(x)
        masked = self.stack.front not in ("none", "Embedding")
        if name == "CausalConv" and sequences and not masked:  # Conv1D would drop the mask
            return self.layers.Conv1D(4, 3, dilation_rate=2, padding="causal")(x)
        if name == "TimeDistributed" and sequences:
            return self.layers.TimeDistributed(self.layers.Dense(2))(x)
        return x


def build(stack: Stack) -> Any:
    """The Keras model a Stack describes, with random weights and biases.

    Earlier ones are forgotten, so that names start anew and memory is given back.
    """
    keras.backend.clear_session()
    tf_keras.backend.clear_session()
    return _Builder(stack).build()
