"""raw_rnn: a loop whose function reads a sequence step by step and hands the state on as it is.

Its function is called three times: as raw_rnn does at first; at one symbolic step, to see that it
reads that very step and that state and output pass through it; and for all steps at once, to learn
where each row ends. Any other loop stays one. Axis letters: B batch, T time, F features, U units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from rnnport.capture.context import TraceContext
from rnnport.capture.custom import Untraceable
from rnnport.capture.legacy_loops import left_alone
from rnnport.capture.legacy_probe import Probe, Read, depends
from rnnport.capture.legacy_run import LegacyRun, run_whole, why_left
from rnnport.capture.legacy_sequence import turned

__all__ = ["array_read", "array_stack", "array_unstack", "raw_rnn"]

v1 = tf.compat.v1


@dataclass(frozen=True, eq=False)
class _Plain:
    """A loop that does nothing but run a cell.

    Attributes:
        sequence: its inputs.  # (T, B, …)
        state: initial states as the cell nests them.
        finished: whether a row ends before each step.  # (T, B) bool
    """

    sequence: Any
    state: Any
    finished: Any


def raw_rnn(
    context: TraceContext,
    original: Any,
    cell: Any,
    loop_fn: Any,
    parallel_iterations: Any = None,
    swap_memory: bool = False,
    scope: Any = None,
) -> Any:
    """`raw_rnn` of a cell over a whole sequence becomes the markers of its parts."""
    with v1.variable_scope(scope or "rnn", reuse=v1.AUTO_REUSE):
        plain = _plain(context, cell, loop_fn)
    reason = "raw_rnn's function does more than run the cell over a sequence"
    if plain is not None:
        reason = why_left(cell, plain.sequence, plain.state)
        if not reason:
            try:
                return _whole(context, cell, plain, scope)
            except Untraceable as error:
                reason = str(error)
    with left_alone(context, cell, reason):
        return original(cell, loop_fn, parallel_iterations, swap_memory, scope)


def _whole(context: TraceContext, cell: Any, plain: _Plain, scope: Any) -> Any:
    with v1.variable_scope(scope or "rnn") as varscope:
        over = tf.cumsum(tf.cast(plain.finished, tf.int32), axis=0)
        mask = tf.transpose(tf.equal(over, 0))
        run = LegacyRun(context, varscope.name, mask)
        y, states = run_whole(run, cell, turned(plain.sequence), plain.state)
    steps = tf.reduce_max(tf.reduce_sum(tf.cast(mask, tf.int32), axis=1))

    def array(sequence: Any) -> Any:
        emitted = turned(sequence)[:steps]
        return tf.TensorArray(emitted.dtype, size=0, dynamic_size=True).unstack(emitted)

    return tf.nest.map_structure(array, y), states, None


def _plain(context: TraceContext, cell: Any, loop_fn: Callable[..., Any]) -> _Plain | None:
    """What the loop computes, where it is a plain one."""
    with _watching(context) as probe:
        try:
            time = tf.constant(0)
            start = loop_fn(time, None, None, None)
            sequence = probe.sequence(time, start[0], start[1])
            plain = sequence is not None and start[3] is None and start[4] is None
            if not plain or not _passes(probe, cell, loop_fn, start, sequence):
                return None
            finished = _finished(probe, cell, loop_fn, start, sequence)
        except Exception:  # its own code meets tensors of other shapes here than in the loop
            return None
    if finished is None or len(sequence.shape) < 3 or len(finished.shape) != 2:
        return None
    return _Plain(sequence, start[2], finished)


def _passes(
    probe: Probe, cell: Any, loop_fn: Callable[..., Any], start: Any, sequence: Any
) -> bool:
    """Whether it reads step by step, and output and state come out as they went in."""
    output, state = _stand_ins(cell, start)
    time = v1.placeholder(tf.int32, [])
    finished, taken, following, emitted, loop_state = loop_fn(time, output, state, None)
    if probe.sequence(time, finished, taken) is not sequence:
        return False
    before, after = (tf.nest.flatten(nest) for nest in ((state, output), (following, emitted)))
    same = len(before) == len(after) and all(a is b for a, b in zip(before, after, strict=True))
    return same and loop_state is None


def _finished(
    probe: Probe, cell: Any, loop_fn: Callable[..., Any], start: Any, sequence: Any
) -> Any:
    """Which rows end before each step, (T, B); None where what is computed decides that."""
    stand_ins = _stand_ins(cell, start)
    times = tf.range(tf.shape(sequence)[0])[:, tf.newaxis]
    later = tf.convert_to_tensor(loop_fn(times, *stand_ins, None)[0])
    seen = [*tf.nest.flatten(stand_ins), *(read.value for read in probe.take())]
    if depends(later, seen):
        return None
    return tf.concat([tf.convert_to_tensor(start[0])[tf.newaxis], later[1:]], axis=0)


def _stand_ins(cell: Any, start: Any) -> tuple[Any, Any]:
    """Placeholders for an output of the cell and its states."""
    state = tf.nest.map_structure(lambda s: v1.placeholder(s.dtype, s.shape), start[2])
    output = tf.nest.map_structure(_stand_in, cell.output_size)
    return output, state


def _stand_in(size: Any) -> Any:
    """A placeholder (B, …) for an output of this size."""
    return v1.placeholder(tf.float32, tf.TensorShape([None]).concatenate(tf.TensorShape(size)))


@contextmanager
def _watching(context: TraceContext) -> Iterator[Probe]:
    context.probe = probe = Probe()
    try:
        yield probe
    finally:
        context.probe = None


def array_unstack(
    context: TraceContext, original: Any, array: Any, value: Any, *args: Any, **kwargs: Any
) -> Any:
    """TensorArray.unstack: remembers the sequence that was taken apart."""
    marked = original(array, value, *args, **kwargs)
    # TensorFlow gives an object of a copied class, to warn where nobody uses it; its methods are
    # not those that are routed.
    made = object.__new__(tf.TensorArray)
    made._implementation = marked._implementation
    context.arrays[id(made)] = tf.convert_to_tensor(value)
    context.keep.append(made)
    return made


def array_read(
    context: TraceContext, original: Any, array: Any, index: Any, *args: Any, **kwargs: Any
) -> Any:
    """TensorArray.read: while a loop function is probed, one step like any other.

    In a loop left to tf2onnx the step is gathered: reads within a cond do not convert.
    """
    sequence = context.arrays.get(id(array))
    if sequence is not None and context.probe is not None:
        value = sequence[0]
        context.probe.reads.append(Read(sequence, index, value))
        return value
    if sequence is not None and context.suspended:
        return tf.gather(sequence, index)
    return original(array, index, *args, **kwargs)


def array_stack(context: TraceContext, original: Any, array: Any, *args: Any, **kw: Any) -> Any:
    """TensorArray.stack: the sequence itself, where nothing was written since."""
    sequence = context.arrays.get(id(array))
    return original(array, *args, **kw) if sequence is None else sequence
