"""What the sweep draws: a model as plain data, so that option values can be counted and a failure
can be printed and rebuilt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import hypothesis.strategies as st

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
STANDARD = ("LSTM", "GRU", "SimpleRNN", "RNN(cell)", "StackedRNNCells")
OTHER = ("custom cell", "mixed stack", "ConvLSTM")
# What only Keras 2 has; where one does not fit, the next is tried.
_LEGACY = ("CuDNN", "v1", "time_major", "")
# What a CuDNN layer is, whatever was drawn; of LSTM and GRU alone there would be too few.
_CUDNN_KINDS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "LSTM", "RNN(cell)": "GRU"}
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
UNBOUNDED = ("relu", "linear", "elu", "leaky_relu", "softplus", "gelu", "swish", "selu")
SATURATING = ("sigmoid", "hard_sigmoid", "keras2_hard_sigmoid")


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
    legacy: str


@dataclass(frozen=True)
class Stack:
    """A model: what stands in front, the layers, what comes out."""

    framework: str
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
        # The more often, the fewer layers can be one: of 500 models enough hold each.
        legacy=st.sampled_from(["", "", "time_major", "v1", *["CuDNN"] * 5]),
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
        framework=st.sampled_from(["keras", "keras", "tf_keras"]),
        front=st.sampled_from(["none", "Masking", "Embedding", "mask_zero", "mask input"]),
        layers=st.lists(one, min_size=1, max_size=3).map(tuple),
        return_sequences=st.booleans(),
        return_state=st.booleans(),
        features=st.integers(1, 6),
        target=st.sampled_from(["portable", "portable", "cpu", "cuda"]),
        seed=st.integers(0, 2**31 - 1),
    ).map(_settled)


def _settled(stack: Stack) -> Stack:
    """The stack with options taken back where its layers, or what is around them, lack them."""
    return replace(stack, layers=tuple(_settled_layer(layer, stack) for layer in stack.layers))


def _settled_layer(layer: Layer, stack: Stack) -> Layer:
    if layer.kind == "ConvLSTM" and layer.wrapper in ("None", "backward_layer", "TimeDistributed"):
        layer = replace(layer, wrapper="")
    if layer.kind == "ConvLSTM" and stack.framework == "tf_keras":  # which refuses to unroll it
        layer = replace(layer, unroll=False)
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
        implicit = stack.front in ("Masking", "mask_zero")
        return layer.kind != "ConvLSTM" and layer.wrapper != "TimeDistributed" and not implicit
    if legacy == "v1":
        return layer.kind in ("LSTM", "GRU")
    return layer.kind in _CUDNN_KINDS and stack.front in ("none", "Embedding")


def options(stack: Stack) -> Iterator[tuple[str, str]]:
    """Every (option, value) pair of a model, for counting."""
    for field in ("framework", "front", "return_sequences", "return_state", "target"):
        yield field, str(getattr(stack, field))
    yield "layers", str(len(stack.layers))
    for layer in stack.layers:
        for item in fields(layer):
            if item.name != "units":
                yield item.name, str(getattr(layer, item.name))
