"""A stack as source text: what stands in front, the layers, what is behind and around them."""

from __future__ import annotations

from typing import Any

from tests.sweep.code import Code, Raw, call_text
from tests.sweep.convolution_code import convolutional
from tests.sweep.drawn import Drawn, initial_states, keep_states
from tests.sweep.layer_code import cell_width, recurrent
from tests.sweep.stack import CONVOLUTIONAL, DISTRIBUTED, UNMASKED_AFTER, Layer, Stack
from tests.sweep.wrapper_code import bidirectional, time_distributed


def write(stack: Stack) -> Code:
    """The code of a stack; Code.text wants its outputs, which stand in Code.outputs."""
    drawn = Drawn(stack)
    x = _front(drawn)
    for index, layer in enumerate(stack.layers):
        final = index == len(stack.layers) - 1
        sequences = not final or stack.return_sequences
        x = _recurrent(drawn, layer, x, sequences, final=final)
        x = _after(drawn, layer.after, x, sequences)
    x = _head(drawn, x)
    drawn.code.outputs = [x, *drawn.states] if stack.return_state else [x]
    return drawn.code


def _front(drawn: Drawn) -> str:
    code, front = drawn.code, drawn.stack.front
    if front in ("Embedding", "mask_zero"):
        return _embedded(drawn, masked=front == "mask_zero")
    x = code.input("x", (drawn.time, drawn.width))
    if front in ("Masking", "Concatenate"):
        x = code.through("layers.Masking(0.0)", x)
    if front == "Concatenate":
        both = f"[{_embedded(drawn, masked=True)}, {x}]"
        drawn.width *= 2
        return code.through("layers.Concatenate()", both)
    if front == "mask input":
        drawn.mask = code.input("mask", (drawn.time,), "bool")
    if front == "Conv1D":
        drawn.width = 4
        drawn.time = drawn.time and drawn.time - 2
        return code.through("layers.Conv1D(4, 3)", x)
    return x


def _embedded(drawn: Drawn, *, masked: bool) -> str:
    given = {"mask_zero": True} if masked else {}
    ids = drawn.code.input("ids", (drawn.time,), "int32")
    return drawn.code.through(call_text("layers.Embedding", 11, drawn.width, **given), ids)


def _recurrent(drawn: Drawn, layer: Layer, x: str, sequences: bool, *, final: bool) -> str:
    """One layer over (B, T, F), whatever order of axes it likes."""
    if layer.legacy != "time_major":
        return _as_it_likes(drawn, layer, x, drawn.mask, sequences, final=final)
    code = drawn.code
    mask = drawn.mask and code.value("turned", f"tf.transpose({drawn.mask})")
    x = code.value("x", f"tf.transpose({x}, [1, 0, 2])")
    y = _as_it_likes(drawn, layer, x, mask, sequences, final=final)
    return code.value("x", f"tf.transpose({y}, [1, 0, 2])") if sequences else y


def _as_it_likes(
    drawn: Drawn, layer: Layer, x: str, mask: str, sequences: bool, *, final: bool
) -> str:
    call = {"mask": Raw(mask)} if mask else {}
    if layer.kind in CONVOLUTIONAL:
        return convolutional(drawn, layer, x, call, sequences)
    if layer.wrapper in DISTRIBUTED:
        return time_distributed(drawn, layer, x, sequences)
    if layer.wrapper:
        return bidirectional(drawn, layer, x, call, sequences, final=final)
    code = drawn.code
    given = initial_states(drawn, layer)
    if given:
        call["initial_state"] = Raw(f"[{', '.join(given)}]")
    made = code.layer(recurrent(code, layer, sequences))
    y, states = code.name("x"), code.name("states")
    code.line(f"{y}, *{states} = {call_text(made, Raw(x), **call)}")
    keep_states(drawn, layer, states)
    drawn.hand_over = drawn.states[-1].removeprefix("*") + "[0]"
    drawn.width = cell_width(code, layer)
    return y


_SIMPLE = {
    "Dropout": "layers.Dropout(0.4)",
    "LayerNormalization": "layers.LayerNormalization()",
    "BatchNorm": "layers.BatchNormalization()",
    "MaxPooling": "layers.MaxPooling1D(2, padding='same')",
    "AveragePooling": "layers.AveragePooling1D(2, padding='same')",
}
_SIZED = {
    "Dense": (3, "layers.Dense(3)"),
    "TimeDistributed": (2, "layers.TimeDistributed(layers.Dense(2))"),
    "CausalConv": (4, "layers.Conv1D(4, 3, dilation_rate=2, padding='causal')"),
    "Conv1D": (4, "layers.Conv1D(4, 3, padding='same')"),
}
_SEQUENCES_ONLY = ("TimeDistributed", *UNMASKED_AFTER)


def _after(drawn: Drawn, name: str, x: str, sequences: bool) -> str:
    if not name or (name in _SEQUENCES_ONLY and not sequences):
        return x
    if name == "LayerNormalization" and drawn.width == 1:  # of one feature it is constant
        return x
    if name.endswith("Pooling") and drawn.time:
        drawn.time = -(-drawn.time // 2)
    if name in _SIZED:
        drawn.width, text = _SIZED[name]
        return drawn.code.through(text, x)
    return drawn.code.through(_SIMPLE[name], x)


def _head(drawn: Drawn, x: str) -> str:
    name, sequences = drawn.stack.head, drawn.stack.return_sequences
    if name in ("Dense", "softmax"):
        given: dict[str, Any] = {"activation": "softmax"} if name == "softmax" else {}
        return drawn.code.through(call_text("layers.Dense", 3, **given), x)
    if name.endswith("Pooling") and sequences:
        return drawn.code.through(f"layers.{name}1D()", x)
    if name == "RepeatVector" and not sequences:
        return drawn.code.through("layers.RepeatVector(3)", x)
    return x
