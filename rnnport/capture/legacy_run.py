"""A sequence on its way through a cell of TensorFlow 1: part after part, each over all steps.

What dynamic_rnn does with lengths: past its length a row gives zeros and holds its states. Axis
letters: B batch, T time, F features, U units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from rnnport.capture.context import TraceContext
from rnnport.capture.custom import CustomCall, custom_call
from rnnport.capture.legacy_cells import (
    Custom,
    Part,
    Residual,
    pack_states,
    parts_of,
    read_legacy_cell,
    states_of,
)
from rnnport.capture.legacy_sequence import all_zeros
from rnnport.capture.marker import emit
from rnnport.capture.specs import static_shape
from rnnport.recurrent import RecurrentSpec

__all__ = ["LegacyRun", "run_whole", "why_left"]

v1 = tf.compat.v1
nest = tf.nest


@dataclass(frozen=True, eq=False)
class LegacyRun:
    """What all parts of a cell share.

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


def why_left(cell: Any, *tensors: Any) -> str:
    """Why a cell cannot be caught that runs on these inputs and states; empty where it can."""
    flat = [tf.convert_to_tensor(t) for t in nest.flatten(tensors) if t is not None]
    others = {t.dtype.name for t in flat if t.dtype.is_floating and t.dtype != tf.float32}
    if others:
        return f"{type(cell).__name__} runs on {', '.join(sorted(others))}"
    if not isinstance(parts_of(cell)[0], Custom) and any(t.dtype != tf.float32 for t in flat):
        return f"{type(cell).__name__} runs on something other than float32"
    return ""


def run_whole(run: LegacyRun, cell: Any, x: Any, state: Any) -> tuple[Any, Any]:
    """Outputs (B, T, …), zero past each row's length, and the final states as the cell nests them.

    Args:
        run: how.
        cell: the whole cell.
        x: (B, T, F), or a nest of sequences for a cell that takes one.
        state: initial states as the cell nests them.

    Raises:
        UnsupportedModel: one step of a cell is not the same function each time.
        Untraceable: sizes that must be known are not.
    """
    with run.context.standing_aside(), _same_variables():  # makes them under their names
        cell(nest.map_structure(lambda s: s[:, 0], x), state)
    if run.mask is not None:
        run.context.lengths.append(run.name)
    starts = nest.map_structure(tf.convert_to_tensor, states_of(cell, state))
    parts = parts_of(cell)
    fresh = all(map(all_zeros, nest.flatten(starts)))
    work = _Pass(run, iter(starts), fresh, count=len(starts))
    y = work.through(parts, x)
    if run.mask is not None and isinstance(parts[-1], Residual):
        y = tf.where(run.mask[:, :, tf.newaxis], y, tf.zeros_like(y))
    return y, pack_states(cell, iter(work.finals))


def _same_variables() -> AbstractContextManager[Any]:
    """A cell called once more finds the variables it made, as within a loop."""
    scope: AbstractContextManager[Any] = v1.variable_scope(
        v1.get_variable_scope(), reuse=v1.AUTO_REUSE
    )
    return scope


@dataclass(eq=False)
class _Pass:
    """One sequence through all parts.

    Attributes:
        run: what the parts share.
        starts: initial states of every part in turn.
        fresh: all of them are zero.
        count: how many cells there are.
        finals: final states of the parts passed, as `starts` nests them.
    """

    run: LegacyRun
    starts: Iterator[Any]
    fresh: bool
    count: int
    finals: list[Any] = field(default_factory=list)

    def through(self, parts: Sequence[Part], x: Any) -> Any:
        """Neighbouring standard cells without a residual between are one marker."""
        chain: list[Any] = []
        for part in parts:
            if not isinstance(part, (Residual, Custom)):
                chain.append(part)
                continue
            x = self._chain(chain, x)
            chain = []
            if isinstance(part, Custom):
                x = self._custom(part.cell, x)
            else:
                x = nest.map_structure(tf.add, x, self.through(part.parts, x))
        return self._chain(chain, x)

    def _custom(self, cell: Any, x: Any) -> Any:
        """One step of the cell between two markers."""
        run, state = self.run, next(self.starts)
        given: dict[str, Any] = {}

        def step(inputs: Any, old: Any) -> Any:
            with _same_variables():
                y, new = cell(nest.pack_sequence_as(x, inputs), nest.pack_sequence_as(state, old))
            given["output"] = y
            return nest.flatten(y), nest.flatten(new)

        whole, _, finals = custom_call(
            run.context,
            CustomCall(
                name=self._name([cell]),
                layer_kind=type(cell).__name__,
                cell=cell,
                step=step,
                sequences=nest.flatten(x),
                states=nest.flatten(state),
                mask=run.mask,
                go_backwards=run.backwards,
                zero_output_for_mask=True,
            ),
        )
        self.finals.append(nest.pack_sequence_as(state, finals))
        if run.backwards:
            whole = [tf.reverse(y, [1]) for y in whole]
        return nest.pack_sequence_as(given["output"], whole)

    def _name(self, cells: Sequence[Any]) -> str:
        """The scope, with the number of the first of these cells where they are not all."""
        name = self.run.name or getattr(cells[0], "name", type(cells[0]).__name__)
        return name if len(cells) == self.count else f"{name}_cell{len(self.finals)}"

    def _chain(self, chain: Sequence[Any], x: Any) -> Any:
        if not chain:
            return x
        run, context = self.run, self.run.context
        kinds = [type(cell).__name__ for cell in chain]
        name = self._name(chain)
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
            has_state=not self.fresh,
            has_mask=run.mask is not None,
            pair=run.pair,
            inner=context.inner > 0,
        )
        starts = [next(self.starts) for _ in chain]
        (batch, time, _), width = static_shape(x), spec.cells[-1].units
        shapes = [[batch, time, width], [batch, width]]
        shapes += [[batch, *sizes] for _, sizes in spec.state_labels]
        states = [] if self.fresh else nest.flatten(starts)
        masks = [] if run.mask is None else [run.mask]
        outputs, _, *ends = emit(context, spec, [x, *states, *masks], shapes)
        self.finals.extend(nest.pack_sequence_as(starts, ends))
        return outputs
