"""Stacks of recurrent layers as plain data, and which options go together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from tests.sweep.plain import Plain

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
ALONE = ("LSTM", "GRU", "SimpleRNN")
STANDARD = (*ALONE, "RNN(cell)", "StackedRNNCells")
CONVOLUTIONAL = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
OTHER = ("custom cell", "mixed stack", *CONVOLUTIONAL)
MERGES = ("concat", "sum", "mul", "ave", "None")
# A backward layer of its own: of another size where Keras can do with it, of another kind.
BACKWARD = ("backward_layer", "backward kind")
DISTRIBUTED = ("TimeDistributed", "nested TimeDistributed")
# What a mask does not survive, in Keras or in a stream.
UNMASKED_AFTER = ("CausalConv", "Conv1D", "MaxPooling", "AveragePooling")
MASKED_FRONTS = ("Masking", "mask_zero", "mask input", "Concatenate")
UNBOUNDED = ("relu", "linear", "elu", "leaky_relu", "softplus", "gelu", "swish", "selu")
SATURATING = ("sigmoid", "hard_sigmoid", "keras2_hard_sigmoid")
# What only Keras 2 has; where one does not fit, the next is tried.
_LEGACY = ("CuDNN", "v1", "time_major", "")
# What a CuDNN layer is, whatever was drawn; of LSTM and GRU alone there would be too few.
_CUDNN_KINDS = {
    "LSTM": "LSTM",
    "GRU": "GRU",
    "SimpleRNN": "LSTM",
    "RNN(cell)": "GRU",
    "StackedRNNCells": "LSTM",
    "custom cell": "GRU",
}
_CUDNN: dict[str, Any] = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "use_bias": True,
    "reset_after": True,
    "implementation": 2,
    "dropout": 0.0,
    "unroll": False,
    "zero_output_for_mask": False,
}


@dataclass(frozen=True, repr=False)
class Layer(Plain):
    """Options of one recurrent layer; the values are what scripts/fuzz counts."""

    kind: str = "LSTM"
    wrapper: str = ""
    units: int = 1
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    use_bias: bool = True
    reset_after: bool = True
    go_backwards: bool = False
    implementation: int = 2
    dropout: float = 0.0
    stateful: bool = False
    unroll: bool = False
    zero_output_for_mask: bool = False
    initial_state: str = "zeros"
    after: str = ""
    legacy: str = ""

    @property
    def takes_states(self) -> bool:
        """Whether the model hands it an initial state where one is asked for."""
        one_way = not self.wrapper and self.kind in (*ALONE, "RNN(cell)")
        both_ways = self.wrapper in MERGES and self.kind in ALONE
        return one_way or (both_ways and self.initial_state == "given")


@dataclass(frozen=True, repr=False)
class Stack(Plain):
    """A model: what stands in front, the layers, what comes out."""

    framework: str = "keras"
    style: str = "functional"
    front: str = "none"
    layers: tuple[Layer, ...] = (Layer(),)
    return_sequences: bool = False
    return_state: bool = False
    head: str = ""
    features: int = 1
    target: str = "portable"
    seed: int = 0

    @property
    def masked(self) -> bool:
        """Whether recurrent layers see a mask."""
        return self.front in MASKED_FRONTS

    def settled(self) -> Stack:
        """The stack with options taken back where its layers, or what is around them, lack them."""
        front = self.front
        if front == "mask input" and (self.framework, self.style) == ("keras", "subclassed"):
            # Keras 3 records that call's shapes, not its dtypes: the mask is taken for numbers of
            # a length of their own.
            front = "Masking"
        stack = replace(self, front=front)
        layers = tuple(_settled(layer, stack) for layer in self.layers)
        stack = replace(stack, layers=layers)
        if self.head == "GlobalMaxPooling" and self.masked and layers[-1].wrapper == "None":
            # A masked step's difference of two zeros would often be the largest, for any input.
            return replace(stack, head="")
        return stack


def _settled(layer: Layer, stack: Stack) -> Layer:
    convolutional = layer.kind in CONVOLUTIONAL
    if convolutional and layer.wrapper in ("None", *BACKWARD, *DISTRIBUTED):
        layer = replace(layer, wrapper="")
    if layer.wrapper == "backward kind" and layer.kind not in ALONE:
        layer = replace(layer, wrapper="backward_layer")
    if convolutional and stack.framework == "tf_keras":  # which refuses to unroll it
        layer = replace(layer, unroll=False)
    if stack.framework == "keras" and stack.style == "subclassed":
        # Keras 3 records no shapes of a model whose layers make states at the first call.
        layer = replace(layer, stateful=False)
    if stack.masked and layer.after in UNMASKED_AFTER:
        layer = replace(layer, after="")
    if stack.framework == "tf_keras" and layer.unroll and not stack.return_sequences:
        # Keras 2 fails to build it: a mask of all steps, put on the one output that is left.
        layer = replace(layer, zero_output_for_mask=False)
    wanted = _LEGACY[_LEGACY.index(layer.legacy) :]
    layer = replace(layer, legacy=next(name for name in wanted if _fits(name, layer, stack)))
    if layer.legacy != "CuDNN":
        return layer
    return replace(layer, kind=_CUDNN_KINDS[layer.kind], **_CUDNN)


def _fits(legacy: str, layer: Layer, stack: Stack) -> bool:
    """Whether the layer can be one that only Keras 2 has.

    A mask that Keras hands on by itself does not follow a sequence whose axes change places, and
    a CuDNN layer takes no mask at all.
    """
    if stack.framework != "tf_keras" or not legacy:
        return not legacy
    if legacy == "time_major":
        implicit = stack.masked and stack.front != "mask input"
        plain = layer.kind not in CONVOLUTIONAL and layer.wrapper not in DISTRIBUTED
        return plain and not implicit
    if legacy == "v1":
        return layer.kind in ("LSTM", "GRU")
    # The first call of a subclassed model would need a GPU.
    return layer.kind in _CUDNN_KINDS and not stack.masked and stack.style == "functional"


def options(case: Plain) -> Iterator[tuple[str, str]]:
    """Every (option, value) pair of a model, for counting."""
    family = type(case).__name__.lower()
    for item in fields(case):  # type: ignore[arg-type]
        value = getattr(case, item.name)
        if isinstance(value, tuple):
            yield f"{family} {item.name}", str(len(value))
            for layer in value:
                yield from options(layer)
        elif item.name not in ("seed", "features", "units"):
            yield f"{family} {item.name}", str(value)
