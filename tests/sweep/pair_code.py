"""A pair as source text."""

from __future__ import annotations

from typing import Any

from tests.sweep.code import Code, Raw, call_text
from tests.sweep.pair import Pair

_CELLS = {"RNN(LSTMCell)": "LSTMCell", "RNN(GRUCell)": "GRUCell"}
_BETWEEN = {
    "Dropout": "layers.Dropout(0.4)",
    "LayerNormalization": "layers.LayerNormalization()",
    "BatchNorm": "layers.BatchNormalization()",
}
_HEADS = {
    "Dense": "layers.Dense(5)",
    "softmax": "layers.Dense(5, activation='softmax')",
    "TimeDistributed": "layers.TimeDistributed(layers.Dense(5))",
}


def write(pair: Pair) -> Code:
    """The code of a pair."""
    code = Code(pair.framework, pair.style)
    source = _between(code, pair.before, _sequence(code, "source", pair.source, pair.features))
    memory, states = _encoder(code, pair, source, sequences=bool(pair.attention))
    if pair.join == "concatenate":
        other = _sequence(code, "other", pair.source, pair.features)
        last, _ = _encoder(code, pair, other, sequences=False)
        y = code.through("layers.Concatenate()", f"[{memory}, {last}]")
        code.outputs = [_closed(code, pair, y, sequences=False)]
        return code
    if pair.join == "repeat":
        y, states = code.through("layers.RepeatVector(4)", memory), []
    else:
        y = _sequence(code, "into", pair.into, pair.features)
    y, last_states = _decoder(code, pair, y, states)
    if pair.attention:
        context = _attention(code, pair, y, memory)
        y = code.through("layers.Concatenate()", f"[{y}, {context}]")
    y = _closed(code, pair, y, sequences=pair.return_sequences)
    flat = f"*tf.nest.flatten({last_states})"
    code.outputs = [y, flat] if pair.return_state else [y]
    return code


def _sequence(code: Code, name: str, kind: str, features: int) -> str:
    if kind in ("Embedding", "mask_zero"):
        given = {"mask_zero": True} if kind == "mask_zero" else {}
        ids = code.input(name, (None,), "int32")
        return code.through(call_text("layers.Embedding", 11, features, **given), ids)
    x = code.input(name, (None, features))
    return code.through("layers.Masking(0.0)", x) if kind == "Masking" else x


def _between(code: Code, name: str, x: str) -> str:
    return code.through(_BETWEEN[name], x) if name else x


def _closed(code: Code, pair: Pair, y: str, *, sequences: bool) -> str:
    """What stands behind the recurrent layers."""
    y = _between(code, pair.after, y)
    head = pair.head
    if head == "TimeDistributed" and not sequences:
        head = "Dense"
    return code.through(_HEADS[head], y) if head else y


def _layer(pair: Pair, units: int, sequences: bool, **options: Any) -> Raw:
    """One recurrent layer that returns its states."""
    given = {"return_sequences": True} if sequences else {}
    given |= {"return_state": True, **options}
    if pair.kind in _CELLS:
        return call_text("layers.RNN", call_text(f"layers.{_CELLS[pair.kind]}", units), **given)
    if pair.kind == "StackedRNNCells":
        cells = [call_text("layers.LSTMCell", units), call_text("layers.GRUCell", units)]
        return call_text("layers.RNN", call_text("layers.StackedRNNCells", cells), **given)
    return call_text(f"layers.{pair.kind}", units, **given)


def _run(code: Code, text: Raw, x: str, **call: Raw) -> tuple[str, str]:
    """Names of what a layer gives: its outputs, and the list of its states."""
    y, states = code.name("x"), code.name("states")
    code.line(f"{y}, *{states} = {call_text(code.layer(text), Raw(x), **call)}")
    return y, states


def _encoder(code: Code, pair: Pair, x: str, *, sequences: bool) -> tuple[str, list[str]]:
    """What the encoder gives, and for each decoder layer an expression of its states."""
    if pair.wrapper:
        text = call_text("layers.Bidirectional", _layer(pair, pair.units, sequences))
        y, states = _run(code, text, x)
        if pair.join != "hand-off":
            return y, []
        count = 2 if pair.kind == "LSTM" else 1
        both = [f"[{states}[{i}], {states}[{i + count}]]" for i in range(count)]
        return y, [_bridged(code, pair, [code.through("layers.Concatenate()", b) for b in both])]
    found = []
    for number in range(pair.depth):
        last = number == pair.depth - 1
        x, states = _run(code, _layer(pair, pair.units, sequences or not last), x)
        count = 2 if "LSTM" in pair.kind else 1
        found.append(_bridged(code, pair, [f"{states}[{i}]" for i in range(count)], states))
    return x, found


def _bridged(code: Code, pair: Pair, states: list[str], whole: str = "") -> str:
    """The states as a decoder takes them; Dense layers between, where the model has them."""
    if pair.bridge and pair.join == "hand-off":
        dense = f"layers.Dense({_decoder_units(pair)}, activation='tanh')"
        states = [code.through(dense, state) for state in states]
    elif whole:
        return whole
    return f"[{', '.join(states)}]"


def _decoder_units(pair: Pair) -> int:
    if pair.wrapper and pair.join == "hand-off":
        return 2 * pair.units
    return pair.units + (1 if pair.bridge else 0)


def _decoder(code: Code, pair: Pair, y: str, states: list[str]) -> tuple[str, str]:
    units = _decoder_units(pair)
    zeros = {"zero_output_for_mask": True} if pair.zero_output_for_mask else {}
    names = ""
    for number in range(pair.cells):
        sequences = pair.return_sequences or number < pair.cells - 1
        start = {"initial_state": Raw(states[number])} if states else {}
        y, names = _run(code, _layer(pair, units, sequences, **zeros), y, **start)
    return y, names


def _attention(code: Code, pair: Pair, query: str, memory: str) -> str:
    if pair.attention == "MultiHeadAttention":
        made = code.layer(call_text("layers.MultiHeadAttention", 2, 3))
        return code.value("x", f"{made}({query}, {memory})")
    default = pair.attention == "AdditiveAttention"
    given = {} if pair.scaled == default else {"use_scale": pair.scaled}
    text = call_text(f"layers.{pair.attention}", **given)
    # Both sides must have the same features.
    width = _decoder_units(pair)
    memory = code.through(f"layers.Dense({width})", memory)
    return code.through(text, f"[{query}, {memory}]")
