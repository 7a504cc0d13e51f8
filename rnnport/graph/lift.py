"""Lifts every state to the border of the graph: the skeleton of a stream form.

A recurrent layer's initial state becomes a graph input and its final state a graph output; so does
the left context of a causal convolution, and what a pooling over all time has gathered. A fresh
stream starts from all zeros, whatever the layer itself starts from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import msgspec
import numpy as np
import onnx_ir as ir

from rnnport.carried import ContextSpec, PoolSpec
from rnnport.custom import CustomSpec
from rnnport.graph.emit import Emitter, stand_in
from rnnport.graph.origins import dependents, is_zero, sequence_behind, sole_input
from rnnport.graph.skeleton import (
    CONTEXT,
    CUSTOM,
    DOMAIN,
    OP,
    POOL,
    Skeleton,
    Spec,
    token_of,
)
from rnnport.graph.state_names import StateNames
from rnnport.recurrent import RecurrentSpec
from rnnport.spec import Port, State

__all__ = ["CannotLift", "Lifted", "lift"]


class CannotLift(Exception):
    """A layer whose state cannot be carried.

    Args:
        layer: its name.
        reason: why.
    """

    def __init__(self, layer: str, reason: str) -> None:
        super().__init__(f"{layer}: {reason}")
        self.layer, self.reason = layer, reason


@dataclass(frozen=True, eq=False)
class Lifted:
    """What the border of a lifted skeleton is.

    Attributes:
        inputs: ports of the inputs that are left, in Keras's order.
        outputs: names of the outputs that are left, in Keras's order.
        states: in the order of the graph's further inputs and outputs.
    """

    inputs: list[Port]
    outputs: list[str]
    states: list[State]


def lift(skeleton: Skeleton, ports: Sequence[Port]) -> Lifted:
    """Lift in place.

    Args:
        skeleton: not lowered yet; its graph gains inputs and outputs at the end of the lists.
        ports: of the graph's inputs, in order.

    Raises:
        CannotLift: a layer reads backwards, or starts from what only the whole sequence tells.
    """
    graph = skeleton.model.graph
    known = dict(zip(graph.inputs, ports, strict=True))
    still = _still(graph, known)
    _refuse(skeleton, still)
    work = _Lift(skeleton, known)
    for node in _carried(skeleton):
        if node not in still:
            work.lift(node)
    kept = [v for v in graph.inputs if v in work.ports]
    states = list(_without_ends(graph, work.found, work.steps))
    outputs = [str(v.name) for v in graph.outputs]
    graph.inputs.clear()
    graph.inputs.extend([*kept, *(taken for _, taken, _ in work.found)])
    graph.outputs.extend(given for _, _, given in work.found)
    return Lifted([work.ports[v] for v in kept], outputs, states)


def _without_ends(
    graph: ir.Graph, found: Sequence[tuple[State, ir.Value, ir.Value]], steps: Set[str]
) -> Iterator[State]:
    """Of a one-step function the states go out as states alone, its other outputs as they are."""
    ends: dict[str, str] = {}
    for state, _, given in reversed(found):
        if state.input not in steps:
            continue
        same = [v for v in graph.outputs if _origin(v) is _origin(given)]
        if same and len(graph.outputs) > 1:
            ends[state.input] = str(same[-1].name)
            graph.outputs.remove(same[-1])
    for state, _, _ in found:
        yield msgspec.structs.replace(state, end=ends.get(state.input, ""))


def _origin(value: ir.Value) -> ir.Value:
    node = value.producer()
    while node is not None and node.op_type == "Identity" and node.inputs[0] is not None:
        value = node.inputs[0]
        node = value.producer()
    return value


def _still(graph: ir.Graph, ports: Mapping[ir.Value, Port]) -> set[ir.Node]:
    """Nodes that give the same for every chunk: of what all of a stream shares, computed anew."""
    timed = {value for value, port in ports.items() if port.has_time}
    return set(graph) - dependents(graph, timed) if timed else set()


def _refuse(skeleton: Skeleton, still: Set[ir.Node]) -> None:
    for node in [*skeleton.recurrent_nodes(), *skeleton.custom_nodes()]:
        spec = skeleton.layer_spec(node)
        pair = spec.pair if isinstance(spec, RecurrentSpec) else ""
        name = pair.rsplit("/pair", 1)[0] or spec.name
        if spec.inner or node in still:
            continue
        if node.graph is not skeleton.model.graph:
            raise CannotLift(name, "it is called inside a condition or a loop")
        if spec.go_backwards:
            kind = "Bidirectional" if pair else spec.layer_kind
            raise CannotLift(name, f"{kind} reads the sequence from its end")


def _carried(skeleton: Skeleton) -> list[ir.Node]:
    """Nodes with a state, in the order the layers were called in."""
    order = {token: number for number, token in enumerate(skeleton.specs)}
    nodes = [node for op in (OP, CUSTOM, CONTEXT, POOL) for node in skeleton.nodes(op)]
    carried = [node for node in nodes if not getattr(skeleton.any_spec(node), "inner", False)]
    return sorted(carried, key=lambda node: order[token_of(node)])


class _Lift:
    """The lifting of one skeleton.

    Attributes:
        ports: graph inputs still there.
        found: each state with its graph input and output.
        steps: inputs of the states that belong to single steps.
    """

    def __init__(self, skeleton: Skeleton, ports: dict[ir.Value, Port]) -> None:
        self.ports = ports
        self.found: list[tuple[State, ir.Value, ir.Value]] = []
        self.steps: set[str] = set()
        self._skeleton = skeleton
        self._names = StateNames()

    def lift(self, node: ir.Node) -> None:
        """Replace one node by one that takes its state and gives the next."""
        spec = self._skeleton.any_spec(node)
        if isinstance(spec, (RecurrentSpec, CustomSpec)):
            self._recurrent(node, spec)
        elif isinstance(spec, ContextSpec):
            self._context(node, spec)
        elif isinstance(spec, PoolSpec):
            self._pool(node, spec)

    def _recurrent(self, node: ir.Node, spec: RecurrentSpec | CustomSpec) -> None:
        inputs = list(node.inputs)
        mask = [inputs.pop()] if spec.has_mask else []
        sequences, starts = inputs[: spec.first_state], inputs[spec.first_state :]
        step = isinstance(spec, RecurrentSpec) and spec.step
        emit = self._emitter(node, spec.name)
        prefix = self._names.prefix(spec.name)
        taken, states = [], []
        begun = _Begun(self, emit, prefix)
        dtypes = spec.state_dtypes if isinstance(spec, CustomSpec) else ()
        for index, (label, sizes) in enumerate(spec.state_labels):
            start = starts[index] if starts else None
            dtype = dtypes[index] if dtypes else "float32"
            if start is not None and step and sole_input(start) not in self.ports:
                raise CannotLift(spec.name, "its state is not handed in by the caller")
            state, value = self._state(f"{prefix}_{label}", dtype, ["B", *sizes])
            source = sole_input(start) if start is not None else None
            if source is not None and source in self.ports:
                state = msgspec.structs.replace(state, start=self.ports.pop(source).name)
                taken.append(value)
            elif start is None or is_zero(start):
                taken.append(value)
            else:
                self._refuse_hindsight(spec, start)
                taken.append(begun.choose(value, start, len(sizes)))
            states.append((state, value))
        held = self._held_outputs(spec, prefix)
        lifted = (
            dataclasses.replace(spec, has_state=True, stream=not step)
            if isinstance(spec, RecurrentSpec)
            else dataclasses.replace(spec, stream=True)
        )
        carried = [value for _, value in held]
        new = self._replace(node, lifted, [*sequences, *taken, *carried, *mask], len(held))
        finals = new[-spec.state_count - len(held) :]
        for (state, value), final in zip([*states, *held], finals, strict=True):
            self._give(state, value, final)
        if step:
            self.steps.update(state.input for state, _ in states)

    def _held_outputs(
        self, spec: RecurrentSpec | CustomSpec, prefix: str
    ) -> list[tuple[State, ir.Value]]:
        """What a masked step repeats where it is not a state: the last outputs."""
        if isinstance(spec, RecurrentSpec) or not spec.holds_outputs:
            return []
        many = len(spec.outputs) > 1
        return [
            self._state(f"{prefix}_output{n if many else ''}", dtype, ["B", *sizes])
            for n, (dtype, sizes) in enumerate(zip(spec.output_dtypes, spec.outputs, strict=True))
        ]

    def _refuse_hindsight(self, spec: RecurrentSpec | CustomSpec, start: ir.Value) -> None:
        behind = sequence_behind(start, set(self._per_step()))
        if behind is None:
            return
        source = "the whole sequence"
        if behind.domain == DOMAIN:
            source = f"what layer {self._skeleton.any_spec(behind).name!r} gives at the end"
        raise CannotLift(spec.name, f"its initial state is made from {source}")

    def _per_step(self) -> Iterator[ir.Value]:
        for value, port in self.ports.items():
            if any(isinstance(a, str) and a.startswith("T") for a in port.shape):
                yield value

    def _context(self, node: ir.Node, spec: ContextSpec) -> None:
        shape: list[int | str] = ["B", spec.length, spec.features]
        prefix = self._names.prefix(spec.name)
        state, value = self._state(f"{prefix}_context", "float32", shape)
        lifted = dataclasses.replace(spec, stream=True)
        _, following = self._replace(node, lifted, [*node.inputs, value], 1)
        self._give(state, value, following)

    def _pool(self, node: ir.Node, spec: PoolSpec) -> None:
        prefix = self._names.prefix(spec.name)
        label, dtype = ("sum", "float64") if spec.kind == "mean" else ("max", "float32")
        state, value = self._state(f"{prefix}_{label}", dtype, ["B", spec.features])
        steps, count = self._state(f"{prefix}_count", "int64", ["B", 1])
        lifted = dataclasses.replace(spec, stream=True)
        _, following, counted = self._replace(node, lifted, [*node.inputs, value, count], 2)
        self._give(state, value, following)
        self._give(steps, count, counted)

    def started(self, emit: Emitter, prefix: str) -> ir.Value:
        """Whether the stream has begun, (B, 1) bool: a fresh one takes the layer's own start."""
        state, value = self._state(f"{prefix}_started", "bool", ["B", 1])
        begun = emit.op("Or", value, emit.op("Not", value))
        self._give(state, value, begun)
        return value

    def _state(self, name: str, dtype: str, shape: list[int | str]) -> tuple[State, ir.Value]:
        name = self._names.take(name)
        value = ir.Value(
            name=f"{name}_in",
            type=ir.TensorType(ir.DataType.from_numpy(np.dtype(dtype))),
            shape=ir.Shape(shape),
        )
        state = State(input=f"{name}_in", output=f"{name}_out", dtype=dtype, shape=shape)
        return state, value

    def _give(self, state: State, taken: ir.Value, final: ir.Value) -> None:
        """A copy under the state's own name: the model may give the same value out itself."""
        graph = self._skeleton.model.graph
        copy = ir.node("Identity", [final])
        copy.outputs[0].name = state.output
        graph.append(copy)
        self.found.append((state, taken, copy.outputs[0]))

    def _emitter(self, node: ir.Node, name: str) -> Emitter:
        graph = self._skeleton.model.graph
        return Emitter(graph, before=node, weights=graph, prefix=f"{name}/")

    def _replace(
        self, node: ir.Node, spec: Spec, inputs: Sequence[ir.Value | None], gained: int = 0
    ) -> list[ir.Value]:
        """Put another node of the same operator there, with so many outputs more."""
        token = f"{token_of(node)} lifted"
        new = ir.node(
            node.op_type,
            inputs,
            {**node.attributes, "token": ir.AttrString("token", token)},
            domain=DOMAIN,
            num_outputs=len(node.outputs) + gained,
        )
        self._skeleton.specs[token] = spec
        self._emitter(node, spec.name).add(new)
        for old, value in zip(node.outputs, new.outputs, strict=False):
            stand_in(old, value)
        self._skeleton.model.graph.remove(node, safe=True)
        return list(new.outputs)


class _Begun:
    """Whether a stream has begun: asked for once a layer, and only where it matters."""

    def __init__(self, work: _Lift, emit: Emitter, prefix: str) -> None:
        self._work, self._emit, self._prefix = work, emit, prefix
        self._flag: ir.Value | None = None

    def choose(self, value: ir.Value, start: ir.Value, inner: int) -> ir.Value:
        """The state carried, or the layer's own start (B, …) where the stream is fresh."""
        if self._flag is None:
            self._flag = self._work.started(self._emit, self._prefix)
        flag, emit = self._flag, self._emit
        if inner > 1:
            flag = emit.op("Unsqueeze", flag, emit.ints(*range(2, inner + 1)))
        return emit.choose(flag, value, start)
