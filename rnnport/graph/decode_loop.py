"""What decode loops share: both halves in one graph, and the decoder as the body of a Loop.

Axis letters: B sources, R rows of the decoder (B, or B·K with K beams), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from rnnport.graph.emit import Emitter
from rnnport.spec import Form
from rnnport.step_ports import scored_output

__all__ = [
    "BOOL",
    "DOUBLE",
    "ENDED",
    "IDS",
    "INT64",
    "Carried",
    "Joined",
    "Step",
    "add_output",
    "any_open",
    "close_step",
    "first_states",
    "join",
    "open_step",
    "value",
]

IDS = "ids"
ENDED = -1
INT64, BOOL, DOUBLE = ir.DataType.INT64, ir.DataType.BOOL, ir.DataType.DOUBLE

_ROWS = "R"


@dataclass(frozen=True, eq=False)
class Joined:
    """Both halves, taken apart.

    Attributes:
        graph: the encoder's, without outputs; holds the weights of both.
        handed: what the encoder gave out, by name.
        step: the decoder's.
        form: the decoder's form.
    """

    graph: ir.Graph
    handed: Mapping[str, ir.Value]
    step: ir.Graph
    form: Form


@dataclass(frozen=True, eq=False)
class Step:
    """A Loop's body, its end not yet written.

    Attributes:
        graph: the body.
        emit: adds nodes at its end.
        number: of the step, from 0, a scalar.
        more: the Loop's own condition.
        tokens: fed in this step, (R,) int64.
        scores: (R, V).
        states: before the step, (R, …) each.
        states_out: after it, (R, …) each.
    """

    graph: ir.Graph
    emit: Emitter
    number: ir.Value
    more: ir.Value
    tokens: ir.Value
    scores: ir.Value
    states: Sequence[ir.Value]
    states_out: Sequence[ir.Value]


@dataclass(frozen=True, eq=False)
class Carried:
    """A value that a Loop carries from step to step.

    Attributes:
        first: before the first step, in the outer graph.
        before: what the body is given.
        after: what the body gives; of the same type.
    """

    first: ir.Value
    before: ir.Value
    after: ir.Value


def value(name: str, dtype: ir.DataType, shape: Sequence[int | str]) -> ir.Value:
    """An input of a body."""
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))


def join(encoder: ir.Model, decoder: ir.Model, form: Form) -> Joined:
    """Bring both halves, lowered, into the encoder's graph.

    Args:
        encoder: its outputs are taken away.
        decoder: its names are changed and its weights taken away.
        form: the decoder's form.
    """
    graph = encoder.graph
    handed = {str(v.name): v for v in graph.outputs}
    graph.outputs.clear()
    _rename(decoder.graph)
    _share_weights(decoder.graph, graph)
    return Joined(graph, handed, decoder.graph, form)


def first_states(emit: Emitter, joined: Joined, batch: ir.Value) -> list[ir.Value]:
    """What the decoder's states start from, (B, …) each; batch is 1-D int64."""
    states = []
    for state in joined.form.states:
        if state.start:
            states.append(joined.handed[state.start])
            continue
        inner = emit.ints(*(int(size) for size in state.shape[1:]))
        zero = emit.weight(f"zero_{state.dtype}", np.zeros((), state.dtype))
        states.append(emit.op("Expand", zero, emit.op("Concat", batch, inner, axis=0)))
    return states


def open_step(joined: Joined, context: Mapping[str, ir.Value], output: str = "") -> Step:
    """Turn the decoder into a body that is fed one token a row.

    Args:
        joined: its step becomes the body.
        context: by name, (R, …) each, in the outer graph.
        output: of the decoder, scores tokens; "" to find it.
    """
    graph, form = joined.step, joined.form
    by_name = {str(v.name).removeprefix("step/"): v for v in graph.inputs}
    for name in form.fixed:
        by_name[name].replace_all_uses_with(context[name])
    _hoist(graph, joined.graph)
    (port,) = form.per_step
    outputs = list(graph.outputs)
    graph.outputs.clear()
    graph.inputs.clear()
    tokens = value("step/tokens", INT64, [_ROWS])
    front = Emitter(
        graph, before=next(iter(graph), None), weights=joined.graph, prefix="step/front/"
    )
    kind = ir.DataType.from_numpy(np.dtype(port.dtype))
    fed = front.op("Cast", tokens, to=kind.value)
    if rest := range(1, len(port.shape)):
        fed = front.op("Unsqueeze", fed, front.ints(*rest))
    by_name[port.name].replace_all_uses_with(fed)
    back = Emitter(graph, weights=joined.graph, prefix="step/back/")
    scored = scored_output(form, output)
    scores = outputs[form.outputs.index(scored)]
    if between := range(1, len(scored.shape) - 1):
        scores = back.op("Squeeze", scores, back.ints(*between))
    return Step(
        graph,
        back,
        value("step/number", INT64, []),
        value("step/more", BOOL, []),
        tokens,
        scores,
        [by_name[state.input] for state in form.states],
        outputs[len(form.outputs) :],
    )


def close_step(
    emit: Emitter,
    step: Step,
    most: int,
    going: ir.Value,
    carried: Sequence[Carried],
    told: Sequence[ir.Value],
) -> tuple[list[ir.Value], list[ir.Value]]:
    """Finish the body and put the Loop into the outer graph.

    Args:
        emit: of the outer graph.
        step: its graph becomes the body.
        most: steps, at most.
        going: whether to take another step, a scalar in the body.
        carried: all that goes from step to step.
        told: what the body gives out in every step.

    Returns:
        The last values of what is carried, and all that was told, (steps, …) each.
    """
    body = step.graph
    body.inputs.extend([step.number, step.more, *(c.before for c in carried)])
    # A value may be an output once only, and no input.
    after = [step.emit.op("Identity", c.after) for c in carried]
    for one, source in zip(after, carried, strict=True):
        one.type, one.shape = source.before.type, source.before.shape
    going.type, going.shape = ir.TensorType(BOOL), ir.Shape([])
    body.outputs.extend([going, *after, *told])
    first = [emit.integer(most), None, *(c.first for c in carried)]
    found = emit.nodes("Loop", first, len(carried) + len(told), body=body)
    return found[: len(carried)], found[len(carried) :]


def any_open(emit: Emitter, over: ir.Value) -> ir.Value:
    """Whether a search goes on: one at least is not over."""
    left = emit.op("Cast", emit.op("Not", over), to=INT64.value)
    return emit.op("Greater", emit.op("ReduceSum", left, keepdims=0), emit.integer(0))


def add_output(
    graph: ir.Graph, source: ir.Value, name: str, dtype: ir.DataType, shape: Sequence[int | str]
) -> None:
    """Make a value an output of the whole."""
    source.name = name
    source.type, source.shape = ir.TensorType(dtype), ir.Shape(shape)
    graph.outputs.append(source)


def _rename(graph: ir.Graph) -> None:
    """Keep the decoder's names apart from the encoder's."""
    nodes = list(graph.all_nodes())
    for one in [*graph.inputs, *(output for node in nodes for output in node.outputs)]:
        one.name = f"step/{one.name}"
        # onnxruntime reuses memory between values whose sizes have the same names.
        if one.shape is not None:
            one.shape = ir.Shape([_ROWS if str(axis) == "B" else axis for axis in one.shape])
    for node in nodes:
        node.name = node.name and f"step/{node.name}"


def _hoist(body: ir.Graph, outer: ir.Graph) -> None:
    """What does not depend on the step is computed once: keys of an attention, masks, sizes."""
    within = set(body.inputs)
    for node in list(body):
        holds_graph = any(
            a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
            for a in node.attributes.values()
        )
        if holds_graph or within.intersection(node.inputs):
            within.update(node.outputs)
        else:
            body.remove(node)
            outer.append(node)


def _share_weights(source: ir.Graph, target: ir.Graph) -> None:
    """Initialisers of the body stand in the outer graph, those of one content once."""
    for one in list(source.initializers.values()):
        known = target.initializers.get(str(one.name))
        source.initializers.pop(str(one.name))
        if known is not None and _same(known, one):
            one.replace_all_uses_with(known)
            continue
        if known is not None:
            one.name = f"step/{one.name}"
        target.register_initializer(one)


def _same(one: ir.Value, other: ir.Value) -> bool:
    a, b = one.const_value, other.const_value
    if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.array_equal(a.numpy(), b.numpy()))
