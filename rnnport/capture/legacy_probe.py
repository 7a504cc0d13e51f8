"""What the function of a raw_rnn reads, and whether that is a sequence step by step.

The graphs here are TensorFlow 1's: a `cond` ends in a Merge whose branches came through Switch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from rnnport.capture.legacy_sequence import all_zeros

__all__ = ["Probe", "Read", "depends"]

_PASSED_ON = ("Identity", "Switch")


@dataclass(frozen=True, eq=False)
class Read:
    """One read of a TensorArray.

    Attributes:
        sequence: what had been unstacked into the array.  # (T, B, …)
        index: as it was given.
        value: what the function got.  # (B, …)
    """

    sequence: Any
    index: Any
    value: Any


@dataclass(eq=False)
class Probe:
    """Watches what a loop function reads.

    Attributes:
        reads: since it was last asked.
    """

    reads: list[Read] = field(default_factory=list)

    def take(self) -> list[Read]:
        """The reads since it was last asked."""
        taken, self.reads = self.reads, []
        return taken

    def sequence(self, time: Any, finished: Any, following: Any) -> Any:
        """The sequence whose step `time` is the next input; None where that cannot be told.

        Where every row has ended, zeros may stand for it.

        Args:
            time: what the function was given.
            finished: which rows have ended, as it answered.  # (B,) bool
            following: the next input, as it answered.
        """
        reads = self.take()
        if len(reads) != 1 or not _equal(reads[0].index, time):
            return None
        value = reads[0].value
        if following is value or _guarded(following, value, finished):
            return reads[0].sequence
        return None


def depends(tensor: Any, on: list[Any]) -> bool:
    """Whether any of these tensors has a part in another."""
    wanted = {one.op for one in on}
    return any(op in wanted for op in _behind(tensor))


def _behind(tensor: Any) -> Iterator[Any]:
    pending, seen = [tensor.op], set()
    while pending:
        op = pending.pop()
        if op not in seen:
            seen.add(op)
            yield op
            pending.extend(x.op for x in op.inputs)


def _equal(index: Any, time: Any) -> bool:
    if index is time:
        return True
    value, wanted = (tf.get_static_value(tf.convert_to_tensor(one)) for one in (index, time))
    return value is not None and wanted is not None and np.array_equal(value, wanted)


def _guarded(following: Any, value: Any, finished: Any) -> bool:
    """Whether this is a cond: zeros where all rows have ended, the value read elsewhere."""
    if getattr(following, "op", None) is None or following.op.type != "Merge":
        return False
    ends = list(following.op.inputs)
    read = [end for end in ends if _source(end) is value]
    zeros = [end for end in ends if all_zeros(_source(end))]
    if len(ends) != 2 or len(read) != 1 or len(zeros) != 1:
        return False
    branch = read[0].op._get_control_flow_context()
    over = _source(branch.pred)
    if branch.branch == 1:
        if over.op.type != "LogicalNot":
            return False
        over = _source(over.op.inputs[0])
    return _is_all(over, finished)


def _source(tensor: Any) -> Any:
    """What a tensor was before it was passed on."""
    while tensor.op.type in _PASSED_ON:
        tensor = tensor.op.inputs[0]
    return tensor


def _is_all(tensor: Any, finished: Any) -> bool:
    """Whether this is `tf.reduce_all(finished)`."""
    if tensor.op.type != "All" or tensor.shape.rank != 0:
        return False
    return _alike(_source(tensor.op.inputs[0]), _source(finished))


def _alike(one: Any, other: Any) -> bool:
    """Whether two tensors are computed in the same way from the same."""
    if one is other:
        return True
    a, b = one.op, other.op
    if a.type != b.type or one.value_index != other.value_index or a.op_def.is_stateful:
        return False
    if len(a.inputs) != len(b.inputs) or not (len(a.inputs) or a.type == "Const"):
        return False
    same = dict(a.node_def.attr) == dict(b.node_def.attr)
    return same and all(_alike(x, y) for x, y in zip(a.inputs, b.inputs, strict=True))
