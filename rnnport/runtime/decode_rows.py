"""DecodeRows: rows of a decoder that are stepped together, in memory bound once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.buffers import Memory, Tensor, bind_session, memory_for
from rnnport.runtime.decode_plan import DecodePlan
from rnnport.runtime.form_sessions import FormSessions
from rnnport.runtime.session import run_refused
from rnnport.runtime.stream_plan import sizes
from rnnport.spec import Port

__all__ = ["DecodeRows"]

Array = NDArray[Any]
Index = NDArray[np.intp]


class DecodeRows:
    """R rows, each with its states and context. Not for several threads.

    Args:
        plan: the decoder's.
        sessions: of the decoder.
        rows: R.
        states: what the states start from, (R, …) each, in the order of plan.states.
        context: inputs that stay the same, (R, …) each, by name.
        memory: where states live; the provider's by default.

    Attributes:
        output: (R, V), what the last step gave; overwritten by the next one.
    """

    output: Array
    _now: int
    _sets: tuple[list[Tensor], list[Tensor]]
    _runs: list[Callable[[], None]]

    def __init__(
        self,
        plan: DecodePlan,
        sessions: FormSessions,
        rows: int,
        states: Sequence[Array],
        context: Mapping[str, Array],
        *,
        memory: Memory | None = None,
    ) -> None:
        self._plan = plan
        self._memory = memory or memory_for(sessions.provider)
        self._session = sessions.session(rows)
        kept = {name: self._place(array) for name, array in context.items()}
        self._bind(rows, [self._place(array) for array in states], kept)

    def __len__(self) -> int:
        return len(self.output)

    def step(self, fed: Array) -> Array:
        """Take one step.

        Args:
            fed: ids (R,), which become one-hot rows where the decoder takes such; or floats (R, F).

        Returns:
            self.output, (R, V).

        Raises:
            InputError: onnxruntime refused the values; the states are as they were.
        """
        if self._is_one_hot and fed.ndim == 1:
            self._x.fill(0)
            self._x[self._every, fed] = 1
        else:
            self._x[...] = fed
        try:
            self._runs[self._now]()
        except Exception as error:
            raise run_refused(f"{self._plan.name}.onnx", error) from error
        self._now = 1 - self._now
        return self.output

    def reorder(self, rows: Index) -> None:
        """Put states in another order, (R,): row i goes on from row rows[i]; contexts stay."""
        for tensor, into in zip(self._sets[self._now], self._sets[1 - self._now], strict=True):
            self._memory.gather(tensor, rows, into)
        self._now = 1 - self._now

    def keep(self, rows: Index) -> None:
        """Go on with these rows alone, states and contexts, in this order; any may occur again."""
        states = [self._gathered(tensor, rows) for tensor in self._sets[self._now]]
        context = {name: self._gathered(tensor, rows) for name, tensor in self._context.items()}
        self._bind(len(rows), states, context)

    def _bind(self, rows: int, states: list[Tensor], context: dict[str, Tensor]) -> None:
        """Bind a step from either set of states into the other."""
        plan = self._plan
        others = [
            self._memory.zeros((rows, *sizes(state)), np.dtype(state.dtype))
            for state in plan.states
        ]
        fed, given = _step_array(plan, plan.step, rows), _step_array(plan, plan.output, rows)
        self._x = fed.reshape(rows) if plan.width is None else fed.reshape(rows, plan.width)
        self.output = given.reshape(rows, plan.vocabulary)
        self._every = np.arange(rows)
        self._is_one_hot = plan.width is not None
        self._context, self._sets, self._now = context, (states, others), 0
        self._runs = [
            self._run(before, after, fed, given)
            for before, after in ((states, others), (others, states))
        ]

    def _run(
        self, before: list[Tensor], after: list[Tensor], fed: Array, given: Array
    ) -> Callable[[], None]:
        states = self._plan.states
        reads = {state.input: tensor for state, tensor in zip(states, before, strict=True)}
        writes = {state.output: tensor for state, tensor in zip(states, after, strict=True)}
        inputs = {self._plan.step.name: fed, **self._context, **reads}
        outputs = {self._plan.output.name: given, **writes}
        return bind_session(self._session, inputs, outputs, sticky=self._memory.sticky).runner()

    def _gathered(self, tensor: Tensor, rows: Index) -> Tensor:
        array = tensor if isinstance(tensor, np.ndarray) else tensor.numpy()
        return self._place(array[rows])

    def _place(self, array: Array) -> Tensor:
        tensor = self._memory.zeros(array.shape, array.dtype)
        self._memory.write(tensor, array)
        return tensor


def _step_array(plan: DecodePlan, port: Port, rows: int) -> Array:
    """Zeros for one step of so many rows."""
    # The plan let no other axes through.
    shape = [axis if isinstance(axis, int) else plan.sizes(rows)[axis] for axis in port.shape]
    return np.zeros(shape, port.dtype)
