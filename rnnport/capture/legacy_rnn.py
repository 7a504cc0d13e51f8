"""Handlers for TensorFlow 1's recurrent functions and cells, while a graph is being built.

`dynamic_rnn` is caught where it enters its loop: scopes, zero states and checks are its own, and it
is found however the code imported it. Axis letters: B batch, T time, F features, U units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from rnnport.capture.context import OpaqueLayer, TraceContext
from rnnport.capture.legacy_cells import (
    Part,
    Residual,
    pack_states,
    parts_of,
    read_legacy_cell,
    standard_legacy,
    states_of,
    why_opaque,
)
from rnnport.capture.marker import emit
from rnnport.capture.specs import static_shape
from rnnport.recurrent import STATES, RecurrentSpec

__all__ = [
    "LegacyRun",
    "bidirectional_rnn",
    "dropout_wrapper",
    "dynamic_loop",
    "legacy_cell_call",
    "run_whole",
    "static_bidirectional_rnn",
    "static_rnn",
]

v1 = tf.compat.v1


@dataclass(frozen=True, eq=False)
class LegacyRun:
    """A sequence on its way through the parts of a cell.

    Attributes:
        context: the trace.
        name: the variable scope.
        mask: (B, T) bool, or None.
        backwards: runs from the last step to the first; outputs stay in the input's order.
        pair: shared by the two directions of one bidirectional call.
    """

    context: TraceContext
    name: str
    mask: Any = None
    backwards: bool = False
    pair: str = ""


def dynamic_loop(
    context: TraceContext,
    original: Any,
    cell: Any,
    inputs: Any,
    initial_state: Any,
    *args: Any,
    sequence_length: Any = None,
    **kwargs: Any,
) -> Any:
    """`_dynamic_rnn_loop`, time-major: standard cells become markers."""
    parts = _parts(context, cell, inputs, initial_state)
    if parts is None:
        with context.standing_aside():
            return original(
                cell, inputs, initial_state, *args, sequence_length=sequence_length, **kwargs
            )
    x = tf.transpose(inputs, [1, 0, 2])
    run = LegacyRun(context, v1.get_variable_scope().name, _mask(x, sequence_length))
    y, states = run_whole(run, cell, parts, x, initial_state)
    return tf.transpose(y, [1, 0, 2]), states


def bidirectional_rnn(
    context: TraceContext,
    original: Any,
    cell_fw: Any,
    cell_bw: Any,
    inputs: Any,
    sequence_length: Any = None,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    parallel_iterations: Any = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> Any:
    """`bidirectional_dynamic_rnn`: both directions in the input's time order, marked as a pair."""
    if parts_of(cell_fw) is None or parts_of(cell_bw) is None or tf.nest.is_nested(inputs):
        return original(
            cell_fw,
            cell_bw,
            inputs,
            sequence_length=sequence_length,
            initial_state_fw=initial_state_fw,
            initial_state_bw=initial_state_bw,
            dtype=dtype,
            parallel_iterations=parallel_iterations,
            swap_memory=swap_memory,
            time_major=time_major,
            scope=scope,
        )
    x = tf.convert_to_tensor(inputs)
    x = tf.transpose(x, [1, 0, 2]) if time_major else x
    with v1.variable_scope(scope or "bidirectional_rnn"):
        starts = (initial_state_fw, initial_state_bw)
        outputs, states = _both(context, (cell_fw, cell_bw), x, starts, sequence_length, dtype)
    if time_major:
        outputs = tuple(tf.transpose(y, [1, 0, 2]) for y in outputs)
    return outputs, states


def static_bidirectional_rnn(
    context: TraceContext,
    original: Any,
    cell_fw: Any,
    cell_bw: Any,
    inputs: Any,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> Any:
    """The same over a list of steps."""
    starts = (initial_state_fw, initial_state_bw)
    if parts_of(cell_fw) is None or parts_of(cell_bw) is None or not _steps(inputs):
        return original(cell_fw, cell_bw, inputs, *starts, dtype, sequence_length, scope)
    with v1.variable_scope(scope or "bidirectional_rnn"):
        x = _stacked(inputs)
        outputs, states = _both(context, (cell_fw, cell_bw), x, starts, sequence_length, dtype)
    return (_unstacked(tf.concat(outputs, axis=2), len(inputs)), *states)


def static_rnn(
    context: TraceContext,
    original: Any,
    cell: Any,
    inputs: Any,
    initial_state: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> Any:
    """`static_rnn` over a list of steps (B, F)."""
    parts = parts_of(cell)
    if parts is None or not _steps(inputs):
        context.opaque.extend(_opaque(cell) if parts is None else [])
        with context.standing_aside():
            return original(cell, inputs, initial_state, dtype, sequence_length, scope)
    with v1.variable_scope(scope or "rnn") as varscope:
        x = _stacked(inputs)
        run = LegacyRun(context, varscope.name, _mask(x, sequence_length))
        y, states = run_whole(run, cell, parts, x, _start(cell, initial_state, x, dtype))
    return _unstacked(y, len(inputs)), states


def legacy_cell_call(
    context: TraceContext, original: Any, cell: Any, inputs: Any, state: Any, *args: Any, **kw: Any
) -> Any:
    """A standard cell called by hand becomes a marker for one step."""
    with context.standing_aside():  # makes the variables, and says what is to come out
        output, following = original(cell, inputs, state, *args, **kw)
    kind = standard_legacy(cell)
    if kind is None or output.dtype != tf.float32 or len(inputs.shape) != 2:
        return output, following
    name = cell.name
    spec = RecurrentSpec(
        name=name,
        layer_kind=type(cell).__name__,
        cells=(read_legacy_cell(context, cell, name),),
        has_state=True,
        step=True,
    )
    finals = emit(
        context,
        spec,
        [inputs, *states_of(cell, state)],
        [[static_shape(inputs)[0], spec.cells[0].units]] * len(STATES[kind]),
    )
    return finals[0], pack_states(cell, iter(finals))


def dropout_wrapper(
    context: TraceContext,
    original: Any,
    cell: Any,
    inputs: Any,
    state: Any,
    *,
    cell_call_fn: Any,
    **kw: Any,
) -> Any:
    """DropoutWrapper in inference: the wrapped cell alone."""
    return cell_call_fn(inputs, state, **kw)


def _parts(context: TraceContext, cell: Any, inputs: Any, state: Any) -> tuple[Part, ...] | None:
    """The standard parts of a cell that runs over one float32 sequence, else None, noted."""
    parts = parts_of(cell)
    tensors = [*tf.nest.flatten(inputs), *tf.nest.flatten(state)]
    if parts is not None and all(t.dtype == tf.float32 for t in tensors):
        return parts
    context.opaque.extend(_opaque(cell))
    return None


def _opaque(cell: Any) -> list[OpaqueLayer]:
    kind = type(cell).__name__
    reason = why_opaque(cell) or f"{kind} is not made of standard float32 cells"
    return [OpaqueLayer(v1.get_variable_scope().name or kind, kind, reason)]


def _both(
    context: TraceContext,
    both: tuple[Any, Any],
    x: Any,
    starts: tuple[Any, Any],
    lengths: Any,
    dtype: Any,
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Outputs and final states of both directions of a bidirectional call, x (B, T, F)."""
    mask = _mask(x, lengths)
    name = v1.get_variable_scope().name
    run = LegacyRun(context, name, mask, pair=context.unique(f"{name}/pair"))
    found = []
    for label, cell, start in zip(("fw", "bw"), both, starts, strict=True):
        with v1.variable_scope(label) as scope:
            one = replace(run, name=scope.name, backwards=label == "bw")
            state = _start(cell, start, x, dtype)
            found.append(run_whole(one, cell, parts_of(cell) or (), x, state))
    (y, last), (y_rev, last_rev) = found
    return (y, y_rev), (last, last_rev)


def _start(cell: Any, state: Any, x: Any, dtype: Any) -> Any:
    if state is not None:
        return state
    batch = static_shape(x)[0] or tf.shape(x)[0]
    return cell.zero_state(batch, dtype or tf.float32)


def run_whole(
    run: LegacyRun, cell: Any, parts: Sequence[Part], x: Any, state: Any
) -> tuple[Any, Any]:
    """Outputs (B, T, U), zero past each row's length, and the final states as the cell nests them.

    Args:
        run: how.
        cell: the whole cell.
        parts: what it is made of.
        x: (B, T, F)
        state: initial states as the cell nests them.
    """
    with run.context.standing_aside():  # one step: makes the variables under their names
        cell(x[:, 0], state)
    given = [tf.convert_to_tensor(s) for s in states_of(cell, state)]
    starts = iter(given) if not all(map(_zeros, given)) else None
    finals: list[Any] = []
    y = _through(run, parts, x, starts, finals)
    if run.mask is not None and isinstance(parts[-1], Residual):
        y = tf.where(run.mask[:, :, tf.newaxis], y, tf.zeros_like(y))
    return y, pack_states(cell, iter(finals))


def _through(
    run: LegacyRun, parts: Sequence[Part], x: Any, starts: Iterator[Any] | None, finals: list[Any]
) -> Any:
    """Runs parts one after the other; neighbours without a residual between are one marker."""
    chain: list[Any] = []
    for part in parts:
        if not isinstance(part, Residual):
            chain.append(part)
            continue
        x = _chain(run, chain, x, starts, finals)
        chain = []
        x = x + _through(run, part.parts, x, starts, finals)
    return _chain(run, chain, x, starts, finals)


def _chain(
    run: LegacyRun, chain: Sequence[Any], x: Any, starts: Iterator[Any] | None, finals: list[Any]
) -> Any:
    if not chain:
        return x
    context = run.context
    kinds = [type(cell).__name__ for cell in chain]
    name = run.name or chain[0].name
    spec = RecurrentSpec(
        name=name,
        layer_kind=kinds[0] if len(kinds) == 1 else f"MultiRNNCell({', '.join(kinds)})",
        cells=tuple(
            read_legacy_cell(context, cell, name if len(chain) == 1 else f"{name}_cell{i}")
            for i, cell in enumerate(chain)
        ),
        go_backwards=run.backwards,
        input_order=run.backwards,
        zero_output_for_mask=True,
        has_state=starts is not None,
        has_mask=run.mask is not None,
        pair=run.pair,
    )
    states = [next(starts) for _ in range(spec.state_count)] if starts is not None else []
    (batch, time, _), width = static_shape(x), spec.cells[-1].units
    shapes = [[batch, time, width], [batch, width]]
    shapes += [[batch, *sizes] for _, sizes in spec.state_labels]
    masks = [] if run.mask is None else [run.mask]
    outputs, _, *ends = emit(context, spec, [x, *states, *masks], shapes)
    finals.extend(ends)
    return outputs


def _mask(x: Any, lengths: Any) -> Any:
    """Valid steps (B, T) from their number in each row."""
    if lengths is None:
        return None
    time = static_shape(x)[1] or tf.shape(x)[1]
    return tf.sequence_mask(tf.cast(lengths, tf.int32), time)


def _zeros(tensor: Any) -> bool:
    """Whether a tensor is made of nothing but zeros, as zero_state makes it."""
    value = tf.get_static_value(tensor)
    if value is None and tensor.op.type == "Fill":
        value = tf.get_static_value(tensor.op.inputs[1])
    return value is not None and not np.any(value)


def _steps(inputs: Any) -> bool:
    """Whether these are the steps of one float32 sequence, (B, F) each."""
    flat = tf.nest.flatten(inputs)
    alike = isinstance(inputs, (list, tuple)) and len(flat) == len(inputs) > 0
    return alike and all(x.dtype == tf.float32 and len(x.shape) == 2 for x in flat)


def _stacked(steps: Sequence[Any]) -> Any:
    """The sequence (B, T, F); the one that was taken apart, where that is what the steps are."""
    first = steps[0].op
    if first.type == "Unpack" and [s.op for s in steps] == [first] * len(first.outputs):
        axis = first.get_attr("axis")
        if axis in (0, 1) and [s.value_index for s in steps] == list(range(len(steps))):
            whole = first.inputs[0]
            return whole if axis == 1 else tf.transpose(whole, [1, 0, 2])
    return tf.stack(list(steps), axis=1)


def _unstacked(y: Any, count: int) -> list[Any]:
    """The steps of (B, T, U); the last one is cut off by itself, so that any length has one."""
    return [*tf.unstack(y, num=count, axis=1)[:-1], y[:, -1]]
