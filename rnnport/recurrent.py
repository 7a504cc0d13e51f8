"""What a `Recurrent` node of the skeleton is: cells, weights, activations, options.

Gate orders follow Keras here (LSTM i f c o, GRU z r h); `rnnport.graph.weights` turns them into
ONNX's. Axis letters: B batch, T time, F features, U units, G gates (4, 3 or 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["GATES", "STATES", "Activation", "CellKind", "CellSpec", "FloatArray", "RecurrentSpec"]

CellKind = Literal["LSTM", "GRU", "SimpleRNN"]
FloatArray = NDArray[np.float32]

GATES: dict[CellKind, int] = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
STATES: dict[CellKind, tuple[str, ...]] = {
    "LSTM": ("h", "c"),
    "GRU": ("h",),
    "SimpleRNN": ("h",),
}


@dataclass(frozen=True, eq=False)
class Activation:
    """A gate's nonlinearity.

    Attributes:
        op: an activation name of ONNX's recurrent operators, or "Custom".
        alpha: its first parameter, where it takes one.
        beta: its second parameter, where it takes one.
        body: for "Custom", a serialised ONNX ModelProto with one (B, U) input and output.
        label: what to call it in messages.
    """

    op: str
    alpha: float | None = None
    beta: float | None = None
    body: bytes = b""
    label: str = ""

    @property
    def obstacle(self) -> str:
        """Why the fused operators cannot compute it; empty where they can.

        onnxruntime's kernels compute softplus as log(1 + exp(x)): infinity above 88 (1.31, CPU).
        """
        if self.op == "Custom":
            return f"activation {self.label} is not one ONNX names"
        if self.op == "Softplus":
            return "activation softplus overflows in onnxruntime's fused operators"
        return ""

    @property
    def fusable(self) -> bool:
        """Whether the fused LSTM, GRU and RNN operators compute it for every finite input."""
        return not self.obstacle

    def same_as(self, other: Activation) -> bool:
        """Equal as a function, as far as the description tells."""
        mine = (self.op, self.alpha, self.beta, self.body)
        return mine == (other.op, other.alpha, other.beta, other.body)


@dataclass(frozen=True, eq=False)
class CellSpec:
    """One standard cell with its trained weights, float32.

    Attributes:
        name: unique among the cells of the model; names the initialisers.
        kind: which formula.
        kernel: input weights.  # (F, G·U), Keras gate order
        recurrent_kernel: state weights.  # (U, G·U)
        bias: added to the input product; zeros where the cell has none.  # (G·U,)
        recurrent_bias: added to the state product (GRU with reset_after).  # (G·U,)
        activation: of the candidate and, in an LSTM, of the output.
        recurrent_activation: of the gates; unused by SimpleRNN.
        reset_after: GRU applies the reset gate after the state product.
        peephole: LSTM only, what c adds to gates i and f before it changes and to o after; None
            where the cell has none.  # (3·U,), i f o
    """

    name: str
    kind: CellKind
    kernel: FloatArray
    recurrent_kernel: FloatArray
    bias: FloatArray
    recurrent_bias: FloatArray
    activation: Activation
    recurrent_activation: Activation
    reset_after: bool = False
    peephole: FloatArray | None = None

    @property
    def units(self) -> int:
        """U."""
        return int(self.recurrent_kernel.shape[0])

    @property
    def features(self) -> int:
        """F."""
        return int(self.kernel.shape[0])

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the state tensors, in Keras's order."""
        return STATES[self.kind]

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The distinct roles: gates (where there are gates), then candidate."""
        if self.kind == "SimpleRNN":
            return (self.activation,)
        return (self.recurrent_activation, self.activation)


@dataclass(frozen=True, eq=False)
class RecurrentSpec:
    """One call of a recurrent layer (or one step of a bare cell).

    Node inputs: sequence (B, T, F) — for a step (B, F) — then every initial state (B, U) in cell
    order where `has_state`, then the mask (B, T) bool where `has_mask`.
    Node outputs: outputs (B, T, U), last output (B, U), then every final state (B, U); for a step
    only the final states.

    Attributes:
        name: the layer's name.
        layer_kind: what to call the layer in reports.
        cells: one cell, or the chain of a StackedRNNCells.
        go_backwards: runs from the last step to the first.
        input_order: outputs are given in the input's time order, not in processing order.
        zero_output_for_mask: masked outputs are zero instead of the last output repeated.
        unreversed_zeros: Keras's unrolled loop, run backwards, zeroes masked outputs by the mask in
            input order although the outputs stand in processing order.
        has_state: initial states are given.
        has_mask: a mask is given.
        unit_mask: the mask is (B, T, U): every unit is masked on its own.
        step: a single step of a bare cell, no time axis.
        inner: starts anew for every step of an outer sequence; never carried in a stream.
        stream: a step masked before any valid one gives the initial state, not zeros.
        pair: the two directions of one Bidirectional share this name.
    """

    name: str
    layer_kind: str
    cells: tuple[CellSpec, ...]
    go_backwards: bool = False
    input_order: bool = False
    zero_output_for_mask: bool = False
    unreversed_zeros: bool = False
    has_state: bool = False
    has_mask: bool = False
    unit_mask: bool = False
    step: bool = False
    inner: bool = False
    stream: bool = False
    pair: str = ""

    @property
    def state_labels(self) -> list[tuple[str, tuple[int, ...]]]:
        """Label and sizes (U,) of every state: "h", or "cell0_h" where there are several cells."""
        return [
            (letter if len(self.cells) == 1 else f"cell{index}_{letter}", (cell.units,))
            for index, cell in enumerate(self.cells)
            for letter in cell.states
        ]

    @property
    def state_count(self) -> int:
        """Number of state tensors over all cells."""
        return sum(len(cell.states) for cell in self.cells)

    @property
    def first_state(self) -> int:
        """Which node input is the first initial state, where there is one."""
        return 1
