"""What is known of a stack while its text is written, and the states it passes on."""

from __future__ import annotations

from tests.sweep.code import Code
from tests.sweep.layer_code import flat_states, single_cell
from tests.sweep.stack import ALONE, Layer, Stack


class Drawn:
    """What is known of the model while its text is written.

    Attributes:
        code: the text.
        width: features of the sequence x.
        time: steps of it; None where open.
        mask: the name of a mask given by hand, or "".
        states: names of states that the model returns, or `*names` of lists.
        hand_over: the first state of the last layer that gave some, as an expression; "" for none.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        batch = 4 if any(layer.stateful for layer in stack.layers) else None
        self.code = Code(stack.framework, stack.style, batch)
        self.width = stack.features
        self.time = 7 if any(layer.unroll for layer in stack.layers) else None
        self.mask = ""
        self.states: list[str] = []
        self.hand_over = ""


def keep_states(drawn: Drawn, layer: Layer, states: str) -> None:
    """Name the list of states, made flat, among what the model returns."""
    if not flat_states(layer):
        states = drawn.code.value(states, f"tf.nest.flatten({states})")
    drawn.states.append(f"*{states}")


def initial_states(drawn: Drawn, layer: Layer, directions: int = 1) -> list[str]:
    """Names of the states the layer starts from; none where it starts from zeros."""
    if not layer.takes_states:
        return []
    kind = layer.kind if layer.kind in ALONE else single_cell(layer)
    count = directions * (2 if kind.startswith("LSTM") else 1)
    if layer.initial_state == "given":
        return [drawn.code.input("start", (layer.units,)) for _ in range(count)]
    if layer.initial_state == "from previous" and drawn.hand_over:
        dense = f"layers.Dense({layer.units})"
        return [drawn.code.through(dense, drawn.hand_over) for _ in range(count)]
    return []
