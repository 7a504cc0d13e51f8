"""Lifts every state to the border of the graph: the skeleton of a stream form.

A recurrent layer's initial state becomes a graph input and its final state a graph output; so does
the left context of a causal convolution, and what a pooling over all time has gathered. A fresh
stream starts from all zeros, whatever the layer itself starts from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import msgspec
import onnx_ir as ir

from rnnport.carried import ContextSpec, PoolSpec
from rnnport.graph.emit import Emitter, stand_in
from rnnport.graph.origins import is_zero, sequence_behind, sole_input
from rnnport.graph.skeleton import CONTEXT, DOMAIN, OP, POOL, Skeleton, Spec, token_of
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
    _refuse(skeleton)
    work = _Lift(skeleton, dict(zip(graph.inputs, ports, strict=True)))
    for node in _carried(skeleton):
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


def _refuse(skeleton: Skeleton) -> None:
    main = skeleton.model.graph
    for node in skeleton.recurrent_nodes():
        spec = skeleton.spec(node)
        name = spec.pair.rsplit("/pair", 1)[0] or spec.name
        if node.graph is not main:
            raise CannotLift(name, "it is called inside a condition or a loop")
        if spec.go_backwards and not spec.inner:
            kind = "Bidirectional" if spec.pair else spec.layer_kind
            raise CannotLift(name, f"{kind} reads the sequence from its end")


def _carried(skeleton: Skeleton) -> list[ir.Node]:
    """Nodes with a state, in the order the layers were called in."""
    order = {token: number for number, token in enumerate(skeleton.specs)}
    nodes = [node for op in (OP, CONTEXT, POOL) for node in skeleton.nodes(op)]
    carried = [node for node in nodes if not skeleton.any_spec(node).inner]
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
        if isinstance(spec, RecurrentSpec):
            self._recurrent(node, spec)
        elif isinstance(spec, ContextSpec):
            self._context(node, spec)
        else:
            self._pool(node, spec)

    def _recurrent(self, node: ir.Node, spec: RecurrentSpec) -> None:
        inputs = list(node.inputs)
        mask = [inputs.pop()] if spec.has_mask else []
        starts = inputs[1 : 1 + spec.state_count] if spec.has_state else []
        emit = self._emitter(node, spec.name)
        prefix = self._names.prefix(spec.name)
        taken, states, started = [], [], None
        for index, (label, units) in enumerate(spec.state_labels):
            start = starts[index] if starts else None
            state, value = self._state(f"{prefix}_{label}", "float32", ["B", units])
            if start is not None and spec.step and sole_input(start) not in self.ports:
                raise CannotLift(spec.name, "its state is not handed in by the caller")
            source = sole_input(start) if start is not None else None
            if source is not None and source in self.ports:
                state = msgspec.structs.replace(state, start=self.ports.pop(source).name)
                taken.append(value)
            elif start is None or is_zero(start):
                taken.append(value)
            else:
                self._refuse_hindsight(spec, start)
                started = started or self._started(emit, prefix)
                taken.append(emit.op("Where", started, value, start))
            states.append((state, value))
        lifted = dataclasses.replace(spec, has_state=True, stream=not spec.step)
        new = self._replace(node, lifted, [inputs[0], *taken, *mask])
        finals = new[-spec.state_count :]
        for (state, value), final in zip(states, finals, strict=True):
            self._give(state, value, final)
        if spec.step:
            self.steps.update(state.input for state, _ in states)

    def _refuse_hindsight(self, spec: RecurrentSpec, start: ir.Value) -> None:
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
        _, following = self._replace(node, lifted, [*node.inputs, value])
        self._give(state, value, following)

    def _pool(self, node: ir.Node, spec: PoolSpec) -> None:
        prefix = self._names.prefix(spec.name)
        label, dtype = ("sum", "float64") if spec.kind == "mean" else ("max", "float32")
        state, value = self._state(f"{prefix}_{label}", dtype, ["B", spec.features])
        steps, count = self._state(f"{prefix}_count", "int64", ["B", 1])
        lifted = dataclasses.replace(spec, stream=True)
        _, following, counted = self._replace(node, lifted, [*node.inputs, value, count])
        self._give(state, value, following)
        self._give(steps, count, counted)

    def _started(self, emit: Emitter, prefix: str) -> ir.Value:
        """Whether the stream has begun, (B, 1) bool: a fresh one takes the layer's own start."""
        state, value = self._state(f"{prefix}_started", "bool", ["B", 1])
        begun = emit.op("Or", value, emit.op("Not", value))
        self._give(state, value, begun)
        return value

    def _state(self, name: str, dtype: str, shape: list[int | str]) -> tuple[State, ir.Value]:
        name = self._names.take(name)
        value = ir.Value(
            name=f"{name}_in", type=ir.TensorType(_DTYPES[dtype]), shape=ir.Shape(shape)
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
        self, node: ir.Node, spec: Spec, inputs: Sequence[ir.Value | None]
    ) -> list[ir.Value]:
        token = f"{token_of(node)} lifted"
        # A recurrent node gives its final states in any case; the others gain theirs.
        gained = {CONTEXT: 1, POOL: 2}.get(node.op_type, 0)
        new = ir.node(
            node.op_type,
            inputs,
            {"token": token},
            domain=DOMAIN,
            num_outputs=len(node.outputs) + gained,
        )
        self._skeleton.specs[token] = spec
        self._emitter(node, spec.name).add(new)
        for old, value in zip(node.outputs, new.outputs, strict=False):
            stand_in(old, value)
        self._skeleton.model.graph.remove(node, safe=True)
        return list(new.outputs)


_DTYPES = {
    "float32": ir.DataType.FLOAT,
    "float64": ir.DataType.DOUBLE,
    "int64": ir.DataType.INT64,
    "bool": ir.DataType.BOOL,
}
