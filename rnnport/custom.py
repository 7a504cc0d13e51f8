"""What a layer of a cell that rnnport has no formula for is in the skeleton: a body for one step.

The cell's own call is traced between two markers, `StepBegin` and the node that becomes `Custom`;
what lies between them is the body. Axis letters: B batch, T time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["BeginSpec", "CustomSpec", "Sizes"]

Sizes = tuple[int | None, ...]
"""Sizes of one step without the batch; None where open."""


@dataclass(frozen=True)
class BeginSpec:
    """The marker that gives one step's input and the old states to a cell's own call.

    Node inputs: every sequence (B, T, …), then every initial state (B, …), then the mask where
    there is one. Node outputs: one step (B, …) of every sequence, then every old state (B, …).

    Attributes:
        name: the layer's name.
    """

    name: str


@dataclass(frozen=True)
class CustomSpec:
    """One call of a recurrent layer whose cell is traced for one step.

    Node inputs: every sequence (B, T, …), then every initial state (B, …), then in a masked stream
    every output carried (B, …), then the mask (B, T, …) bool where `has_mask`.
    Node outputs: for every output of the cell the sequence (B, T, …) and the last one (B, …), then
    every final state (B, …), then in a masked stream every next output carried.
    Attribute `body`: a graph from a step of every sequence and the old states to the outputs and
    the new states; it may read values of the graphs around it.

    Attributes:
        name: the layer's name.
        layer_kind: what to call the layer in reports.
        cell_kind: what to call the cell.
        begin: token of the marker in front.
        steps: sizes of one step of every sequence.
        outputs: sizes of every output of the cell.
        states: label and sizes of every state.
        output_dtypes: NumPy dtype name of every output.
        state_dtypes: NumPy dtype name of every state.
        go_backwards: runs from the last step to the first.
        zero_output_for_mask: masked outputs are zero instead of the last output repeated.
        unreversed_zeros: as in RecurrentSpec.
        has_mask: a mask is given.
        mask_axes: how many axes the mask has beyond (B, T): it then masks parts of a step.
        channels_first: the body computes with channels in front of the other sizes, while the node
            takes and gives everything with channels last.
        inner: starts anew for every step of an outer sequence; never carried in a stream.
        stream: takes and gives what a stream carries.
    """

    name: str
    layer_kind: str
    cell_kind: str
    begin: str
    steps: tuple[Sizes, ...]
    outputs: tuple[tuple[int, ...], ...]
    states: tuple[tuple[str, tuple[int, ...]], ...]
    output_dtypes: tuple[str, ...]
    state_dtypes: tuple[str, ...]
    go_backwards: bool = False
    zero_output_for_mask: bool = False
    unreversed_zeros: bool = False
    has_mask: bool = False
    mask_axes: int = 0
    channels_first: bool = False
    inner: bool = False
    stream: bool = False

    def inside(self, sizes: Sequence[Any]) -> tuple[Any, ...]:
        """Sizes as the body has them."""
        return (sizes[-1], *sizes[:-1]) if self.channels_first and sizes else tuple(sizes)

    @property
    def state_labels(self) -> list[tuple[str, tuple[int, ...]]]:
        """Label and sizes of every state, the batch left out."""
        return list(self.states)

    @property
    def state_count(self) -> int:
        """Number of states."""
        return len(self.states)

    @property
    def first_state(self) -> int:
        """Which node input is the first initial state."""
        return len(self.steps)

    @property
    def holds_outputs(self) -> bool:
        """Whether a masked step repeats an output, so that a stream must carry it."""
        return self.has_mask and not self.zero_output_for_mask
