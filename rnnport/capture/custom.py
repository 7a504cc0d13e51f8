"""A recurrent layer of any cell: its own call is traced for one step, between two markers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from keras import tree

from rnnport.capture.context import TraceContext
from rnnport.capture.marker import emit, marker_token
from rnnport.capture.purity import watching_purity
from rnnport.capture.specs import static_shape
from rnnport.custom import BeginSpec, CustomSpec
from rnnport.errors import UnsupportedModel

__all__ = ["CustomCall", "Untraceable", "custom_call"]

Step = Callable[[Any, Any], tuple[Any, Any]]


class Untraceable(Exception):
    """The cell cannot stand between markers; says why."""


@dataclass(frozen=True, eq=False)
class CustomCall:
    """One call of a layer whose cell computes its own formula.

    Attributes:
        name: for the layer, or its part in a stack.
        layer_kind: what to call the layer in reports.
        cell: the cell.
        step: (input, states) to (output, new states), one step of the cell.
        sequences: a tensor (B, T, …), or a nest of them.
        states: nest of initial states (B, …), as `step` takes it.
        mask: (B, T) or with further axes of a step, bool, or None.
        go_backwards: as in CustomSpec.
        zero_output_for_mask: as in CustomSpec.
        unreversed_zeros: as in CustomSpec.
        channels_first: `step` takes and gives tensors with channels first, all else has them last.
    """

    name: str
    layer_kind: str
    cell: Any
    step: Step
    sequences: Any
    states: Any
    mask: Any = None
    go_backwards: bool = False
    zero_output_for_mask: bool = False
    unreversed_zeros: bool = False
    channels_first: bool = False

    def inside(self, sizes: Any) -> list[Any]:
        """Sizes behind the batch as `step` has them."""
        sizes = list(sizes)
        return [sizes[-1], *sizes[:-1]] if self.channels_first else sizes

    def outside(self, sizes: Any) -> list[Any]:
        """Sizes behind the batch as everybody else has them."""
        sizes = list(sizes)
        return [*sizes[1:], sizes[0]] if self.channels_first else sizes


def custom_call(context: TraceContext, call: CustomCall) -> tuple[Any, Any, list[Any]]:
    """Trace one step of the cell; the markers around it stand for the loop.

    Returns:
        Nest of outputs (B, T, …), nest of last outputs (B, …), flat final states (B, …).

    Raises:
        UnsupportedModel: the cell draws random numbers, writes variables or counts in Python while
            it infers, or gives states unlike those it takes.
        Untraceable: sizes that must be known are not.
    """
    sequences = tree.flatten(call.sequences)
    states = [tf.convert_to_tensor(s) for s in tree.flatten(call.states)]
    batch, time = static_shape(sequences[0])[:2]
    _require_batch(call, sequences, states)
    masks = [] if call.mask is None else [call.mask]
    given = emit(
        context,
        BeginSpec(call.name),
        [*sequences, *states, *masks],
        [
            *([batch, *call.inside(static_shape(x)[2:])] for x in sequences),
            *([batch, *call.inside(static_shape(s)[1:])] for s in states),
        ],
        [t.dtype for t in (*sequences, *states)],
    )
    token = marker_token(_behind_shape(given[0]))
    x = tree.pack_sequence_as(call.sequences, given[: len(sequences)])
    old = tree.pack_sequence_as(call.states, given[len(sequences) :])
    with context.folded(), watching_purity(call.cell, call.name):
        y, new = call.step(x, old)
    outputs, finals = tree.flatten(y), tree.flatten(new)
    _require_states(call, states, finals)
    _require_known(call, outputs)
    spec = CustomSpec(
        name=call.name,
        layer_kind=call.layer_kind,
        cell_kind=type(call.cell).__name__,
        begin=token,
        steps=tuple(static_shape(s)[2:] for s in sequences),
        outputs=tuple(tuple(call.outside(static_shape(o)[1:])) for o in outputs),
        states=tuple(
            (f"state{n}" if len(states) > 1 else "state", _known(s)) for n, s in enumerate(states)
        ),
        output_dtypes=tuple(o.dtype.name for o in outputs),
        state_dtypes=tuple(s.dtype.name for s in states),
        go_backwards=call.go_backwards,
        zero_output_for_mask=call.zero_output_for_mask,
        unreversed_zeros=call.unreversed_zeros,
        has_mask=call.mask is not None,
        mask_axes=0 if call.mask is None else len(call.mask.shape) - 2,
        channels_first=call.channels_first,
        inner=context.inner > 0,
    )
    shapes = [s for o in spec.outputs for s in ([batch, time, *o], [batch, *o])]
    shapes += [[batch, *_known(s)] for s in states]
    dtypes = [o.dtype for o in outputs for _ in range(2)] + [s.dtype for s in states]
    # The new states in the dtype of the old ones, as Keras casts them.
    closing = [tf.cast(f, s.dtype) for f, s in zip(finals, states, strict=True)]
    results = emit(context, spec, [*outputs, *closing], shapes, dtypes)
    pairs = results[: 2 * len(outputs)]
    whole, last = (tree.pack_sequence_as(y, pairs[i::2]) for i in range(2))
    return whole, last, results[2 * len(outputs) :]


def _known(tensor: Any) -> tuple[int, ...]:
    """Sizes behind the batch."""
    return tuple(int(size) for size in static_shape(tensor)[1:] if size is not None)


def _behind_shape(tensor: Any) -> Any:
    """The marker's own output, behind the ensure_shape that fixes its sizes."""
    return tensor.op.inputs[0]


def _require_batch(call: CustomCall, sequences: Sequence[Any], states: Sequence[Any]) -> None:
    """Every tensor has the batch first; what else a loop could carry, rows could not be told by."""
    batch = static_shape(sequences[0])[0]
    for tensor in states:
        rank = tensor.shape.rank
        shape = static_shape(tensor) if rank is not None else None
        if not shape or (shape[0] is not None and shape[0] != batch):
            raise Untraceable(f"a state of shape {shape} has no batch axis")
        if any(size is None for size in shape[1:]):
            raise Untraceable(f"a state of shape {shape} has an open size")
        if call.mask is not None and len(call.mask.shape) > rank + 1:
            raise Untraceable(f"a mask {tuple(call.mask.shape)} has more axes than a state")


def _require_states(call: CustomCall, old: Sequence[Any], new: Sequence[Any]) -> None:
    takes, gives = (_told(tensors) for tensors in (old, new))
    fits = len(old) == len(new) and all(
        tf.TensorShape(call.inside(static_shape(o)[1:])).is_compatible_with(n.shape[1:])
        for o, n in zip(old, new, strict=True)
    )
    if not fits:
        raise UnsupportedModel.of(
            f"cell {type(call.cell).__name__!r} of layer {call.name!r}",
            f"call returns states {gives}",
            f"states {takes}, as state_size (or the initial state) says",
            "let state_size and call agree",
        )


def _told(tensors: Sequence[Any]) -> str:
    shapes = ("(" + ", ".join(["B", *map(str, static_shape(t)[1:])]) + ")" for t in tensors)
    return ", ".join(shapes) or "none"


def _require_known(call: CustomCall, outputs: Sequence[Any]) -> None:
    for tensor in outputs:
        if tensor.shape.rank is None or None in static_shape(tensor)[1:]:
            raise Untraceable(f"an output of shape {tensor.shape} has an open size")
