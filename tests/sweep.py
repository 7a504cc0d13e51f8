"""Random recurrent models: what the Hypothesis sweep of the suite and scripts/fuzz draw.

A model is drawn as plain data (`Stack`), so that option values can be counted and a failure can be
printed and rebuilt. `check` exports it and compares it with TensorFlow at sizes and with masks that
export did not use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import keras
import numpy as np

import rnnport
from rnnport.capture.open import open_source
from rnnport.capture.reference import Reference
from rnnport.parity.streaming import open_valid, random_lengths, starts_given
from rnnport.parity.tolerance import TOLERANCES
from rnnport.samples import MASK_KINDS, draw
from tests.tiny_cells import Minimal, NormalisedLSTMCell, TwoStates

L = keras.layers

FUSED = (
    "tanh",
    "sigmoid",
    "relu",
    "linear",
    "hard_sigmoid",
    "softsign",
    "elu",
    "leaky_relu",
    "keras2_hard_sigmoid",
)
UNFUSED = ("softplus", "gelu", "swish", "selu", "clip")
_LARGE = 1e3
STANDARD = ("LSTM", "GRU", "SimpleRNN", "RNN(cell)", "StackedRNNCells")
OTHER = ("custom cell", "mixed stack", "ConvLSTM")
SATURATING = ("sigmoid", "hard_sigmoid", "keras2_hard_sigmoid")


@keras.saving.register_keras_serializable("rnnport_sweep")
def _keras2_hard_sigmoid(x: Any) -> Any:
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable("rnnport_sweep")
def _clip(x: Any) -> Any:
    return keras.ops.clip(x, -0.7, 0.8)


_FUNCTIONS: dict[str, Any] = {"keras2_hard_sigmoid": _keras2_hard_sigmoid, "clip": _clip}


@dataclass(frozen=True)
class Layer:
    """Options of one recurrent layer; the values are what scripts/fuzz counts."""

    kind: str
    wrapper: str
    units: int
    activation: str
    recurrent_activation: str
    use_bias: bool
    reset_after: bool
    go_backwards: bool
    implementation: int
    dropout: float
    stateful: bool
    unroll: bool
    zero_output_for_mask: bool
    initial_state: str
    after: str


@dataclass(frozen=True)
class Stack:
    """A model: what stands in front, the layers, what comes out."""

    front: str
    layers: tuple[Layer, ...]
    return_sequences: bool
    return_state: bool
    features: int
    target: str
    seed: int


def layers() -> st.SearchStrategy[Layer]:
    """One recurrent layer with any options."""
    return st.builds(
        Layer,
        kind=st.sampled_from([*STANDARD, *OTHER]),
        wrapper=st.sampled_from(
            ["", "", "", "concat", "sum", "mul", "ave", "None", "backward_layer", "TimeDistributed"]
        ),
        units=st.integers(1, 9),
        activation=st.sampled_from([*["tanh"] * 6, *FUSED[1:], *UNFUSED]),
        recurrent_activation=st.sampled_from(
            [*["sigmoid"] * 5, "tanh", "hard_sigmoid", "softsign", "relu", "keras2_hard_sigmoid"]
        ),
        use_bias=st.booleans(),
        reset_after=st.booleans(),
        go_backwards=st.booleans(),
        implementation=st.sampled_from([1, 2]),
        dropout=st.sampled_from([0.0, 0.3]),
        stateful=st.sampled_from([False, False, False, True]),
        unroll=st.sampled_from([False, False, False, True]),
        zero_output_for_mask=st.sampled_from([False, False, True]),
        initial_state=st.sampled_from(["zeros", "zeros", "given", "from previous"]),
        after=st.sampled_from(
            ["", "", "Dropout", "Dense", "LayerNormalization", "TimeDistributed", "BatchNorm"]
        ),
    )


def causal_layers() -> st.SearchStrategy[Layer]:
    """One recurrent layer that never looks ahead, and what a stream can have behind it."""
    return layers().flatmap(
        lambda layer: st.builds(
            replace,
            st.just(layer),
            wrapper=st.sampled_from(["", "", "", "", "TimeDistributed"]),
            go_backwards=st.just(False),
            unroll=st.just(False),
            initial_state=st.sampled_from(["zeros", "zeros", "given"]),
            after=st.sampled_from(["", "Dropout", "Dense", "LayerNormalization", "CausalConv"]),
        )
    )


def stacks(*, causal: bool = False) -> st.SearchStrategy[Stack]:
    """A whole model; a causal one must stream."""
    one = causal_layers() if causal else layers()
    return st.builds(
        Stack,
        front=st.sampled_from(["none", "Masking", "Embedding", "mask_zero", "mask input"]),
        layers=st.lists(one, min_size=1, max_size=3).map(tuple),
        return_sequences=st.booleans(),
        return_state=st.booleans(),
        features=st.integers(1, 6),
        target=st.sampled_from(["portable", "portable", "cpu", "cuda"]),
        seed=st.integers(0, 2**31 - 1),
    )


def options(stack: Stack) -> Iterator[tuple[str, str]]:
    """Every (option, value) pair of a model, for counting."""
    for field in ("front", "return_sequences", "return_state", "target"):
        yield field, str(getattr(stack, field))
    yield "layers", str(len(stack.layers))
    for layer in stack.layers:
        for item in fields(layer):
            if item.name != "units":
                yield item.name, str(getattr(layer, item.name))


class _Builder:
    """Turns a Stack into a functional Keras model."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.batch = 4 if any(layer.stateful for layer in stack.layers) else None
        self.time = 7 if any(layer.unroll for layer in stack.layers) else None
        self.inputs: list[Any] = []
        self.states: list[Any] = []
        self.hand_over: list[Any] = []
        self.mask: Any = None

    def input(self, shape: tuple[int | None, ...], dtype: str = "float32") -> Any:
        tensor = keras.Input(batch_shape=(self.batch, *shape), dtype=dtype)
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
        model = keras.Model(self.inputs, outputs)
        _randomise(model, self.stack)
        return model

    def _front(self) -> Any:
        front = self.stack.front
        if front in ("Embedding", "mask_zero"):
            ids = self.input((self.time,), "int32")
            return L.Embedding(11, self.stack.features, mask_zero=front == "mask_zero")(ids)
        x = self.input((self.time, self.stack.features))
        if front == "Masking":
            return L.Masking(0.0)(x)
        if front == "mask input":
            self.mask = self.input((self.time,), "bool")
        return x

    def _recurrent(self, layer: Layer, x: Any, sequences: bool, *, final: bool) -> Any:
        call: dict[str, Any] = {}
        if self.mask is not None:
            call["mask"] = self.mask
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
        doubled = L.Dense(2 * 3)(x)
        inner = (
            L.Reshape((-1, 2, 3))(doubled)
            if self.time is None
            else L.Reshape((self.time, 2, 3))(doubled)
        )
        y = L.TimeDistributed(self._layer(layer, False, states=False, inner=True))(inner)
        return y if sequences else L.GlobalAveragePooling1D()(y)

    def _convolutional(self, layer: Layer, x: Any, sequences: bool, call: dict[str, Any]) -> Any:
        """(B, T, F) seen as T images of six pixels in a row."""
        images = L.Reshape((self.time or -1, 6, 1))(L.Dense(6)(x))
        gate = layer.recurrent_activation
        inner = L.ConvLSTM1D(
            1 + layer.units % 3,
            1 + layer.units % 4,
            padding="same",
            return_sequences=sequences,
            activation=_FUNCTIONS.get(layer.activation, layer.activation),
            recurrent_activation=_FUNCTIONS.get(gate, gate),
            use_bias=layer.use_bias,
            dropout=layer.dropout,
            recurrent_dropout=layer.dropout,
            go_backwards=layer.go_backwards and not layer.wrapper,
            stateful=layer.stateful,
            unroll=layer.unroll,
        )
        if layer.wrapper in ("concat", "sum", "mul", "ave"):
            inner = L.Bidirectional(inner, merge_mode=layer.wrapper)
        y = inner(images, **call)
        flat = int(y.shape[-2] * y.shape[-1])
        return L.Reshape((self.time or -1, flat) if sequences else (flat,))(y)

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
            wrapped = L.Bidirectional(
                self._layer(layer, sequences, states=False, backwards=False), backward_layer=other
            )
            return wrapped(x, **call)
        merge = None if layer.wrapper == "None" else layer.wrapper
        # Keras 3.15 fails in its own compute_mask where a stateful one returns its states.
        states = not layer.stateful
        inner = self._layer(layer, sequences, states=states, backwards=False)
        wrapped = L.Bidirectional(inner, merge_mode=merge)
        outputs = wrapped(x, **call)
        if merge is None:
            y, reverse, *states = outputs
            self.states.extend(keras.tree.flatten(states))
            return L.Subtract()([y, reverse])
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
            return [L.Dense(layer.units)(source) for _ in range(count)]
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
        }
        units = units or layer.units
        if layer.kind == "RNN(cell)":
            return L.RNN(self._cell("GRUCell", layer, units), **outer)
        if layer.kind == "StackedRNNCells":
            kinds = ["LSTMCell", "GRUCell", "SimpleRNNCell"][: 2 + layer.units % 2]
            cells = [self._cell(kind, layer, units) for kind in kinds]
            return L.RNN(L.StackedRNNCells(cells), **outer)
        if layer.kind == "custom cell":
            return L.RNN(self._own_cell(layer, units), **outer)
        if layer.kind == "mixed stack":
            standard = self._cell(["LSTMCell", "GRUCell"][layer.units % 2], layer, units)
            cells = [standard, self._own_cell(layer, units), self._cell("GRUCell", layer, units)]
            return L.RNN(cells[: 2 + layer.implementation % 2], **outer)
        return getattr(L, layer.kind)(units, **self._cell_options(layer.kind, layer), **outer)

    def _own_cell(self, layer: Layer, units: int) -> Any:
        return [Minimal, lambda n: TwoStates(n, 2), NormalisedLSTMCell][layer.units % 3](units)

    def _cell(self, kind: str, layer: Layer, units: int) -> Any:
        return getattr(L, kind)(units, **self._cell_options(kind, layer))

    def _cell_options(self, kind: str, layer: Layer) -> dict[str, Any]:
        given: dict[str, Any] = {
            "activation": _FUNCTIONS.get(layer.activation, layer.activation),
            "use_bias": layer.use_bias,
            "dropout": layer.dropout,
            "recurrent_dropout": layer.dropout,
        }
        if kind.startswith(("LSTM", "GRU")):
            gate = layer.recurrent_activation
            given["recurrent_activation"] = _FUNCTIONS.get(gate, gate)
            if not kind.endswith("Cell"):
                given["implementation"] = layer.implementation
        if kind.startswith("GRU"):
            given["reset_after"] = layer.reset_after
        return given

    def _after(self, name: str, x: Any, sequences: bool) -> Any:
        if name == "Dropout":
            return L.Dropout(0.4)(x)
        if name == "Dense":
            return L.Dense(3)(x)
        if name == "LayerNormalization" and x.shape[-1] > 1:  # of one feature it is constant
            return L.LayerNormalization()(x)
        if name == "BatchNorm":
            return L.BatchNormalization()(x)
        masked = self.stack.front not in ("none", "Embedding")
        if name == "CausalConv" and sequences and not masked:  # Conv1D would drop the mask
            return L.Conv1D(4, 3, dilation_rate=2, padding="causal")(x)
        if name == "TimeDistributed" and sequences:
            return L.TimeDistributed(L.Dense(2))(x)
        return x


def build(stack: Stack) -> Any:
    """The Keras model a Stack describes, with random weights and biases."""
    return _Builder(stack).build()


def _randomise(model: Any, stack: Stack) -> None:
    """Weights lively enough that no output dies away, and stable as trained ones are.

    In a chaotic or diverging network any two correct float32 runs part company: recurrent weights
    are kept small, and all weights where a gate leaves 0…1, since such a gate lets states grow, or
    stay at 0 for good.
    """
    rng = np.random.default_rng(stack.seed)
    bounded = all(layer.recurrent_activation in SATURATING for layer in stack.layers)
    _draw_weights(model, 1.0 if bounded else 0.4, rng)
    if bounded and not any(layer.activation == "relu" for layer in stack.layers):
        return
    for _ in range(20):
        outputs = _outputs(model)
        if not all(np.abs(y).max() < _LARGE for y in outputs):
            for weight in model.trainable_weights:
                weight.assign(0.7 * weight)
        elif any(np.ptp(y) == 0.0 for y in outputs):
            _draw_weights(model, 0.4, rng)
        else:
            return


def _draw_weights(model: Any, scale: float, rng: np.random.Generator) -> None:
    for weight in model.trainable_weights:
        value = 0.3 * rng.standard_normal(weight.shape)
        if len(weight.shape) > 1:
            fan = 1 if "embedding" in weight.path else int(np.prod(weight.shape[:-1]))
            gain = 0.5 if "recurrent_kernel" in weight.path else 1.2
            value = gain * scale * rng.standard_normal(weight.shape)
            value /= np.sqrt(fan)
        weight.assign(value.astype("float32"))


def _outputs(model: Any) -> list[np.ndarray]:
    """What the model gives over as many steps as are compared; its states are left alone."""
    rng, source = np.random.default_rng(0), open_source(model)
    inputs = {}
    for port in source.inputs:
        shape = [size or (4, 30)[axis] for axis, size in enumerate(port.shape)]
        drawn = rng.standard_normal(shape) if port.dtype == "float32" else np.ones(shape)
        inputs[port.name] = drawn.astype(port.dtype)
    return [np.asarray(y) for y in Reference(source).eager(inputs)]


def scan_expected(stack: Stack) -> bool:
    """Whether the lowering rules give any layer of the model to Scan."""
    masked = stack.front in ("Masking", "mask_zero", "mask input")
    for layer in stack.layers:
        if layer.activation in UNFUSED or layer.kind in OTHER:
            return True
        if stack.target == "cpu" and layer.kind == "SimpleRNN":
            return True
        if masked and layer.recurrent_activation not in SATURATING:
            return True
    return False


def streams_expected(stack: Stack) -> bool:
    """Whether nothing in the model looks ahead, and its length is open."""
    handed = False
    for layer in stack.layers:
        if layer.wrapper == "TimeDistributed":
            continue
        if layer.wrapper or layer.go_backwards:
            return False
        takes_states = layer.kind in ("LSTM", "GRU", "SimpleRNN")
        if layer.initial_state == "from previous" and handed and takes_states:
            return False
        handed = True
    return True


def check(
    stack: Stack,
    folder: Path,
    seen: Callable[[float], None] = lambda error: None,
    streamed: Callable[[float], None] = lambda error: None,
) -> None:
    """Export, compare at fresh sizes and masks, stream, and look at the graph.

    Args:
        stack: the model.
        folder: receives the artifact.
        seen: told the worst error relative to its bound.
        streamed: told by how much each output of a chunk or a step differs from the whole run's,
            relative to the bound.
    """
    model = build(stack)
    artifact = rnnport.export(model, folder, overwrite=True, target=stack.target)
    ops = artifact.manifest.forms["model"].op_counts
    assert not {"Loop", "If"} & set(ops), ops
    assert scan_expected(stack) or "Scan" not in ops, (ops, artifact.manifest.layers)
    streamable = artifact.manifest.streamable
    # An unrolled layer fixes the length only where others hold it to what was traced.
    if not any(layer.unroll for layer in stack.layers):
        assert streamable.ok == streams_expected(stack), streamable
    if streamable.ok:
        check_stepper(folder, stack.seed, streamed)
    report = rnnport.verify(folder, model=model)
    for row in (*artifact.manifest.parity, *report.checks):
        if row.error is not None and row.bound:
            seen(row.error / row.bound)
    failed = [row for row in report.checks if not row.passed]
    assert not failed, failed[:3]


def check_stepper(folder: Path, seed: int, streamed: Callable[[float], None]) -> None:
    """The streaming law through the public API: whole, random chunks, single steps."""
    runner = rnnport.load(folder, provider="cpu")
    model, form = runner.manifest.forms["model"], runner.manifest.forms["stream"]
    rng = np.random.default_rng(seed)
    batch, time = 2, int(rng.integers(5, 24))
    starts = {state.start for state in form.states} - {""}
    mask = str(rng.choice(["none", "right"] if starts else MASK_KINDS))
    # A mask nobody reads varies alone in the whole form; in a stream all advance together.
    ports = [*form.inputs, *(port for port in model.inputs if port.name in starts)]
    inputs = draw(ports, {"B": batch, "T": time}, mask=mask, seed=seed)
    if starts_given(form):
        open_valid(form, inputs)
    held = {name: inputs[name] for name in (*form.fixed, *starts)}
    moving = {p.name: inputs[p.name] for p in form.inputs if p.name not in form.fixed}
    lengths = random_lengths(time, rng)
    chunked = runner.stepper(batch_size=batch, fixed=held)
    single = runner.stepper(batch_size=batch, fixed=held)
    at = 0
    for length in lengths:
        end = at + length
        chunk = chunked.feed(**{n: x[:, at:end] for n, x in moving.items()})
        steps = [single.step(**{n: x[:, t] for n, x in moving.items()}) for t in range(at, end)]
        so_far = {n: x[:, :end] for n, x in moving.items()}
        expected = keras.tree.flatten(runner.run(**{**inputs, **so_far}))
        flat = [keras.tree.flatten(step) for step in steps]
        for number, (port, whole) in enumerate(zip(form.outputs, expected, strict=True)):
            stepped = flat[-1][number]
            if "T" in port.shape:
                whole = whole[:, at:]
                stepped = np.stack([step[number] for step in flat], axis=1)
            bound = TOLERANCES["stream"] * max(1.0, float(np.abs(whole).max()))
            for received in (keras.tree.flatten(chunk)[number], stepped):
                assert received.shape == whole.shape
                error = float(np.abs(received - whole).max())
                streamed(error / bound)
                assert error <= bound, (port.name, at, length)
        at = end
    for name, value in chunked.state.items():
        assert np.abs(value - single.state[name]).max() <= 1e-5 * max(1.0, np.abs(value).max())
