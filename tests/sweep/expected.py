"""What must be true of the graph of a drawn model."""

from __future__ import annotations

from tests.sweep.layer_code import single_cell
from tests.sweep.pair import Pair
from tests.sweep.stack import (
    CONVOLUTIONAL,
    DISTRIBUTED,
    OTHER,
    SATURATING,
    STANDARD,
    UNFUSED,
    Layer,
    Stack,
)

_LOOKING_AHEAD = ("Conv1D", "MaxPooling", "AveragePooling")


def scan_expected(case: Stack | Pair) -> bool:
    """Whether the lowering rules give any layer of the model to Scan."""
    if isinstance(case, Pair):
        return case.target == "cpu" and case.kind == "SimpleRNN"
    for layer in case.layers:
        if layer.activation in UNFUSED or layer.kind in OTHER:
            return True
        if case.target == "cpu" and _holds_simple_rnn(layer):
            return True
        if case.masked and layer.recurrent_activation not in SATURATING:
            return True
    return False


def scan_needed(stack: Stack) -> bool:
    """Whether no fused operator computes some layer right, over all numbers."""
    standard = [layer for layer in stack.layers if layer.kind in STANDARD]
    return any(layer.activation in UNFUSED for layer in standard)


def streams_expected(stack: Stack) -> bool:
    """Whether nothing in the model looks ahead, and its length is open."""
    if stack.front == "Conv1D" or (stack.head == "RepeatVector" and not stack.return_sequences):
        return False
    handed = False
    for number, layer in enumerate(stack.layers):
        sequences = stack.return_sequences or number < len(stack.layers) - 1
        if layer.after in _LOOKING_AHEAD and sequences:
            return False
        if layer.wrapper in DISTRIBUTED:
            continue
        if layer.wrapper or layer.go_backwards:
            return False
        if layer.initial_state == "from previous" and handed and layer.takes_states:
            return False
        # Keras's convolutional layers are asked for no states.
        handed = handed or layer.kind not in CONVOLUTIONAL
    return True


def _holds_simple_rnn(layer: Layer) -> bool:
    alone = layer.kind == "RNN(cell)" and single_cell(layer) == "SimpleRNNCell"
    third = layer.kind == "StackedRNNCells" and layer.units % 2 == 1
    return layer.kind == "SimpleRNN" or alone or third
