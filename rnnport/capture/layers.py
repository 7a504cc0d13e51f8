"""Handlers that stand in for recurrent layers while tracing."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from keras import tree

from rnnport.capture.cell_stack import run_cells
from rnnport.capture.cells import flat_cells, read_cell, standard_kind
from rnnport.capture.context import InputFact, OpaqueLayer, TraceContext
from rnnport.capture.custom import Untraceable
from rnnport.capture.framework import (
    KERAS,
    as_written,
    framework_of,
    starts_by_itself,
    state_structure,
    takes,
    zero_state,
)
from rnnport.capture.marker import emit
from rnnport.recurrent import STATES, RecurrentSpec

__all__ = [
    "bidirectional_call",
    "both_directions",
    "cell_call",
    "element_arguments",
    "embedding_call",
    "masking_call",
    "plain_recurrent",
    "rnn_call",
    "time_distributed_call",
]


def plain_recurrent(layer: Any) -> bool:
    """Whether the layer is an RNN of standard cells whose own methods are Keras's."""
    framework = framework_of(layer)
    return (
        framework is not None
        and isinstance(layer, framework.layers.RNN)
        and as_written(type(layer), "call") in framework.rnn_calls
        and _standard_inside(layer)
    )


def _standard_inside(layer: Any) -> bool:
    framework = framework_of(layer)
    own = framework is None or as_written(type(layer), "inner_loop") not in framework.inner_loops
    return not own and flat_cells(layer.cell) is not None


def rnn_call(
    context: TraceContext,
    original: Any,
    layer: Any,
    sequences: Any,
    initial_state: Any = None,
    mask: Any = None,
    training: Any = False,
    constants: Any = None,
) -> Any:
    """RNN.call, LSTM.call, GRU.call and SimpleRNN.call: one marker where the cells are standard."""
    pair, input_order = context.take_half()
    if constants is not None or not _standard_inside(layer):
        return _other_call(
            context, original, layer, sequences, initial_state, mask, training, constants
        )
    if initial_state is None and _own_initial_state(layer):
        initial_state = zero_state(layer, sequences)
    sequences = _floats(sequences)
    states = [_floats(s) for s in tree.flatten(initial_state)] if initial_state is not None else []
    mask = _flat_mask(mask)
    cells = flat_cells(layer.cell)
    assert cells is not None
    name = f"{pair.rsplit('/pair', 1)[0]}/{layer.name}" if pair else layer.name
    spec = RecurrentSpec(
        name=name,
        layer_kind=_kind(layer),
        cells=tuple(
            read_cell(context, cell, name if len(cells) == 1 else f"{name}_cell{i}")
            for i, cell in enumerate(cells)
        ),
        go_backwards=bool(layer.go_backwards),
        input_order=input_order,
        zero_output_for_mask=bool(layer.zero_output_for_mask),
        unreversed_zeros=bool(layer.unroll and layer.go_backwards and layer.zero_output_for_mask),
        has_state=bool(states),
        has_mask=mask is not None,
        unit_mask=mask is not None and len(mask.shape) == 3,
        inner=context.inner > 0,
        pair=pair,
    )
    outputs, last, *finals = emit(
        context, spec, _node_inputs(sequences, states, mask), _node_shapes(spec, sequences)
    )
    return _results(layer, outputs, last, initial_state, finals)


def _results(layer: Any, outputs: Any, last: Any, initial_state: Any, finals: list[Any]) -> Any:
    """What the layer was asked to return."""
    output = outputs if layer.return_sequences else last
    if not layer.return_state:
        return output
    structure = initial_state if initial_state is not None else state_structure(layer)
    return (output, *_pack_states(structure, finals))


def _other_call(
    context: TraceContext,
    original: Any,
    layer: Any,
    sequences: Any,
    initial_state: Any,
    mask: Any,
    training: Any,
    constants: Any = None,
) -> Any:
    """A layer of other cells: traced cell by cell where Keras's own loop runs them."""
    framework = framework_of(layer)
    reason = f"{type(layer).__name__} runs its steps in a loop of its own"
    if framework is not None and as_written(type(layer), "inner_loop") in framework.inner_loops:
        try:
            return _traced_cells(
                context, layer, sequences, initial_state, mask, training, constants
            )
        except Untraceable as error:
            reason = str(error)
    context.opaque.append(OpaqueLayer(layer.name, type(layer).__name__, reason))
    with context.standing_aside():
        return original(layer, sequences, initial_state=initial_state, mask=mask, training=training)


def _traced_cells(
    context: TraceContext,
    layer: Any,
    sequences: Any,
    initial_state: Any,
    mask: Any,
    training: Any,
    constants: Any,
) -> Any:
    """Custom cells traced for one step, standard cells of the same stack as ever."""
    if initial_state is None:
        initial_state = zero_state(layer, sequences)
    states = list(initial_state) if tree.is_nested(initial_state) else [initial_state]
    cast = _floats if framework_of(layer) is KERAS else _float32
    states = tree.map_structure(cast, states)
    sequences = tree.map_structure(tf.convert_to_tensor, sequences)
    outputs, last, finals = run_cells(
        context, layer, sequences, states, _flat_mask(mask), training, constants
    )
    return _results(layer, outputs, last, states, finals)


def _own_initial_state(layer: Any) -> bool:
    """Whether a user's subclass of the layer or of a cell starts from other than zeros."""
    return any(map(starts_by_itself, [layer, layer.cell, *(flat_cells(layer.cell) or [])]))


def _pack_states(structure: Any, finals: list[Any]) -> list[Any]:
    structure = structure if tree.is_nested(structure) else [structure]
    return list(tree.pack_sequence_as(list(structure), finals))


def _node_inputs(sequences: Any, states: list[Any], mask: Any) -> list[Any]:
    return [sequences, *states, *([] if mask is None else [mask])]


def _node_shapes(spec: RecurrentSpec, sequences: Any) -> list[list[int | None]]:
    batch, time = sequences.shape[0], sequences.shape[1]
    width = spec.cells[-1].units
    finals = [[batch, cell.units] for cell in spec.cells for _ in cell.states]
    return [[batch, time, width], [batch, width], *finals]


def _floats(x: Any) -> Any:
    return tf.cast(tf.convert_to_tensor(x), tf.float32)


def _float32(x: Any) -> Any:
    """The tensor itself, other floats as float32: tf_keras leaves counters and flags be."""
    x = tf.convert_to_tensor(x)
    return tf.cast(x, tf.float32) if x.dtype.is_floating else x


def _flat_mask(mask: Any) -> Any:
    """The mask as (B, T) or, for each unit, (B, T, U) bool; or None."""
    if mask is None:
        return None
    mask = tf.cast(tree.flatten(mask)[0], tf.bool)
    return tf.squeeze(mask, -1) if len(mask.shape) == 3 and mask.shape[-1] == 1 else mask


def _kind(layer: Any) -> str:
    framework = framework_of(layer)
    for kind, owners in framework.kinds if framework is not None else ():
        if isinstance(layer, owners):
            return kind
    cells = flat_cells(layer.cell) or []
    return f"RNN({', '.join(str(standard_kind(c)) + 'Cell' for c in cells)})"


def bidirectional_call(
    context: TraceContext,
    original: Any,
    layer: Any,
    sequences: Any,
    initial_state: Any = None,
    mask: Any = None,
    training: Any = None,
) -> Any:
    """Bidirectional.call with both directions in the input's time order and marked as a pair."""
    forward, backward = layer.forward_layer, layer.backward_layer
    if not (plain_recurrent(forward) and plain_recurrent(backward) and backward.go_backwards):
        return original(layer, sequences, initial_state=initial_state, mask=mask, training=training)
    return both_directions(context, layer, sequences, initial_state, mask, training)


def both_directions(
    context: TraceContext,
    layer: Any,
    sequences: Any,
    initial_state: Any,
    mask: Any,
    training: Any,
) -> Any:
    """Call both layers of a Bidirectional, marked as a pair, and merge what they give."""
    forward, backward = layer.forward_layer, layer.backward_layer
    half = None if initial_state is None else len(initial_state) // 2
    starts = (None, None) if half is None else (initial_state[:half], initial_state[half:])
    pair = context.unique(f"{layer.name}/pair")
    with context.half_of(pair, input_order=False):
        y = forward(sequences, initial_state=starts[0], mask=mask, training=training)
    with context.half_of(pair, input_order=True):
        y_rev = backward(sequences, initial_state=starts[1], mask=mask, training=training)
    states: tuple[Any, ...] = ()
    if layer.return_state:
        states = (*y[1:], *y_rev[1:])
        y, y_rev = y[0], y_rev[0]
    return _merge(layer.merge_mode, y, y_rev, states)


def _merge(mode: str | None, y: Any, y_rev: Any, states: tuple[Any, ...]) -> Any:
    if mode is None:
        return (y, y_rev, *states)
    merged = {
        "concat": lambda: tf.concat([y, y_rev], -1),
        "sum": lambda: y + y_rev,
        "ave": lambda: (y + y_rev) / 2,
        "mul": lambda: y * y_rev,
    }[mode]()
    return (merged, *states) if states else merged


def time_distributed_call(
    context: TraceContext,
    original: Any,
    layer: Any,
    inputs: Any,
    training: Any = None,
    mask: Any = None,
) -> Any:
    """TimeDistributed.call with batch and time folded into one axis around the inner layer."""
    framework = framework_of(layer)
    if framework is not None and type(layer.layer) is framework.layers.Dense:
        return layer.layer.call(inputs)  # the same for every step anyway
    kwargs = element_arguments(layer.layer, None if mask is None else _fold(mask), training)
    with context.folded():
        outputs = layer.layer.call(_fold(inputs), **kwargs)
    return _unfold(outputs, tf.shape(inputs), inputs.shape[:2])


def element_arguments(layer: Any, mask: Any, training: Any) -> dict[str, Any]:
    """What TimeDistributed hands to its inner layer beside the element."""
    arguments: dict[str, Any] = {}
    if mask is not None and takes(layer, "mask"):
        arguments["mask"] = mask
    if takes(layer, "training"):
        arguments["training"] = training
    return arguments


def _fold(x: Any) -> Any:
    """(B, T, …) to (B·T, …)."""
    inner = _sizes(x, 2)
    return tf.reshape(x, [-1, *inner])


def _unfold(y: Any, shape: Any, static: Any) -> Any:
    """(B·T, …) to (B, T, …)."""
    unfolded = tf.reshape(y, [shape[0], shape[1], *_sizes(y, 1)])
    return tf.ensure_shape(unfolded, [*static, *y.shape[1:]])


def _sizes(x: Any, start: int) -> list[Any]:
    dynamic = tf.shape(x)
    return [dynamic[i] if size is None else size for i, size in enumerate(x.shape) if i >= start]


def cell_call(
    context: TraceContext,
    original: Any,
    cell: Any,
    inputs: Any,
    states: Any,
    training: Any = False,
) -> Any:
    """A standard cell called by hand becomes a marker for one step."""
    kind = standard_kind(cell)
    if kind is None or len(inputs.shape) != 2:
        with context.standing_aside():
            return original(cell, inputs, states, training=training)
    spec = RecurrentSpec(
        name=cell.name,
        layer_kind=f"{kind}Cell",
        cells=(read_cell(context, cell, cell.name),),
        has_state=True,
        step=True,
        inner=context.inner > 0,
    )
    given = [_floats(s) for s in tree.flatten(states)]
    finals = emit(
        context,
        spec,
        [_floats(inputs), *given],
        [[inputs.shape[0], cell.units]] * len(STATES[kind]),
    )
    if not tree.is_nested(states):
        return finals[0], finals[0]
    return finals[0], list(finals)


def embedding_call(context: TraceContext, original: Any, layer: Any, inputs: Any) -> Any:
    """Notes the vocabulary and whether id 0 masks, then embeds as always."""
    mask_value = 0.0 if layer.mask_zero else None
    context.facts.append(InputFact(inputs, int(layer.input_dim), mask_value))
    return original(layer, inputs)


def masking_call(context: TraceContext, original: Any, layer: Any, inputs: Any) -> Any:
    """Notes the padding value, then masks as always."""
    context.facts.append(InputFact(inputs, 0, float(layer.mask_value)))
    return original(layer, inputs)
