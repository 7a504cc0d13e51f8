"""Bidirectional and TimeDistributed layers of a stack as source text."""

from __future__ import annotations

from typing import Any

from tests.sweep.code import Raw, call_text
from tests.sweep.drawn import Drawn, initial_states, keep_states
from tests.sweep.layer_code import cell_width, recurrent
from tests.sweep.stack import BACKWARD, Layer


def time_distributed(drawn: Drawn, layer: Layer, x: str, sequences: bool) -> str:
    """(B, T, F) seen as T inner sequences of two steps, or as T times two of them."""
    nested = layer.wrapper.startswith("nested")
    inner = (2, 2, 3) if nested else (2, 3)
    code, time = drawn.code, drawn.time or -1
    x = code.through(f"layers.Dense({12 if nested else 6})", x)
    x = code.through(call_text("layers.Reshape", (time, *inner)), x)
    made = recurrent(code, layer, False, states=False, inner=True)
    drawn.width = cell_width(code, layer)
    text = call_text("layers.TimeDistributed", made)
    x = code.through(call_text("layers.TimeDistributed", text) if nested else text, x)
    if nested:
        drawn.width *= 2
        x = code.through(call_text("layers.Reshape", (time, drawn.width)), x)
    return x if sequences else code.through("layers.GlobalAveragePooling1D()", x)


def bidirectional(
    drawn: Drawn, layer: Layer, x: str, call: dict[str, Any], sequences: bool, *, final: bool
) -> str:
    """Both directions, merged."""
    drawn.hand_over = ""
    code = drawn.code
    if layer.wrapper in BACKWARD:
        return _backward_layer(drawn, layer, x, call, sequences, final=final)
    merge = None if layer.wrapper == "None" else layer.wrapper
    # Keras 3.15 fails in its own compute_mask where a stateful one returns its states.
    states = not layer.stateful or code.framework == "tf_keras"
    inner = recurrent(code, layer, sequences, states=states, backwards=False)
    made = code.layer(call_text("layers.Bidirectional", inner, **_merged(merge)))
    given = initial_states(drawn, layer, directions=2)
    if given:
        call["initial_state"] = Raw(f"[{', '.join(given)}]")
    drawn.width = cell_width(code, layer) * (2 if merge == "concat" else 1)
    called = call_text(made, Raw(x), **call)
    y = code.name("x")
    parts = [y, code.name("reverse")] if merge is None else [y]
    if states:
        parts.append(f"*{code.name('states')}")
    code.line(f"{', '.join(parts)} = {called}")
    if states:
        keep_states(drawn, layer, parts[-1].removeprefix("*"))
    return y if merge else code.through("layers.Subtract()", f"[{y}, {parts[1]}]")


def _merged(merge: str | None) -> dict[str, Any]:
    return {} if merge == "concat" else {"merge_mode": merge}


def _backward_layer(
    drawn: Drawn, layer: Layer, x: str, call: dict[str, Any], sequences: bool, *, final: bool
) -> str:
    """A backward layer of its own, of another size or another kind."""
    code, units, kind = drawn.code, layer.units, layer.kind
    # Keras sizes what follows by the forward layer: another size fits only at the end.
    if layer.wrapper == "backward kind":
        kind = "LSTM" if kind != "LSTM" else "GRU"
    elif final and layer.after in ("", "Dropout") and drawn.stack.head == "":
        units += 1
    one_way = {"states": False}
    forward = recurrent(code, layer, sequences, backwards=False, **one_way)
    backward = recurrent(code, layer, sequences, backwards=True, units=units, kind=kind, **one_way)
    made = code.layer(call_text("layers.Bidirectional", forward, backward_layer=backward))
    drawn.width = 2 * cell_width(code, layer)
    return code.value("x", call_text(made, Raw(x), **call))
