"""Cuts an encoder-decoder model at the state hand-off.

A hand-off is a recurrent layer whose initial state is made from what another recurrent layer gives.
What does not depend on the decoder's inputs is the encoder; the tensors that cross the border are
its outputs. Those that a decoder layer starts from become decoder states, the others are context:
attention memory, masks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes import common

from rnnport.custom import CustomSpec
from rnnport.graph.origins import SIZES, dependents, reads, sequence_behind
from rnnport.graph.skeleton import CUSTOM, DOMAIN, OP, Skeleton, token_of
from rnnport.recurrent import RecurrentSpec

__all__ = ["Cannot", "Halves", "Handed", "guess_decoder_inputs", "split"]


class Cannot(Exception):
    """The model has no such cut.

    Args:
        reason: why.
        layer: the layer to name, or "".
    """

    def __init__(self, reason: str, layer: str = "") -> None:
        super().__init__(reason)
        self.reason, self.layer = reason, layer


@dataclass(frozen=True)
class Handed:
    """A tensor that crosses from the encoder to the decoder.

    Attributes:
        name: of the encoder's output and the decoder's input.
        value: its name in the skeleton.
    """

    name: str
    value: str


@dataclass(frozen=True, eq=False)
class Halves:
    """Two skeletons, neither lifted nor lowered.

    Attributes:
        encoder: from the source inputs to the hand-off, then outputs of the model that need no
            decoder.
        decoder: from the decoder's inputs and the hand-off to the model's other outputs.
        handed: in the order of the encoder's outputs and of the decoder's last inputs.
        encoder_inputs: names.
        decoder_inputs: names.
    """

    encoder: Skeleton
    decoder: Skeleton
    handed: list[Handed]
    encoder_inputs: list[str]
    decoder_inputs: list[str]


def guess_decoder_inputs(skeleton: Skeleton, timed: Collection[str]) -> list[str]:
    """Inputs that feed the sequence of a layer with a handed state, and no such state.

    Those without a time axis, a speaker's vector say, are no steps: the encoder hands them over.

    Args:
        skeleton: of the whole model.
        timed: names of the graph inputs with a time axis of open length.

    Raises:
        Cannot: no state is handed from one recurrent layer to another, or the decoder has no
            input of its own to be stepped with.
    """
    graph = skeleton.model.graph
    heirs = list(_heirs(skeleton))
    if not heirs:
        raise _no_heir(skeleton)
    handed: set[ir.Value] = set()
    fed: set[ir.Value] = set()
    for node in heirs:
        fed |= _inputs_behind(node.inputs[: skeleton.layer_spec(node).first_state], graph)
        handed |= _inputs_behind(_starts(skeleton, node), graph)
    found = [str(v.name) for v in graph.inputs if v in fed and v not in handed]
    if not found:
        name = skeleton.layer_spec(heirs[0]).name
        reason = "its sequence is made by the encoder: it has no input to be stepped with"
        raise Cannot(reason, name)
    stepped = [name for name in found if name in timed]
    if not stepped:
        raise Cannot(
            f"no input that it alone reads ({', '.join(found)}) has a time axis of open length to "
            "be stepped along; decoder_inputs= names others",
            skeleton.layer_spec(heirs[0]).name,
        )
    return stepped


def split(skeleton: Skeleton, decoder_inputs: Sequence[str], again: Collection[str] = ()) -> Halves:
    """Cut in two; the skeleton itself stays as it is.

    Args:
        skeleton: of the whole model.
        decoder_inputs: names of graph inputs.
        again: values that the decoder computes again for itself, by their names in the skeleton.

    Raises:
        Cannot: nothing crosses from one half to the other.
    """
    decoder = skeleton.copy()
    graph = decoder.model.graph
    own = {v for v in graph.inputs if v.name in decoder_inputs}
    repeated = {v.producer() for node in graph for v in node.outputs if v.name in again}
    late = _with_sizes(graph, {*dependents(graph, own), *repeated})
    crossing = _crossing(decoder, late, own)
    if not crossing:
        raise Cannot(f"inputs {', '.join(decoder_inputs)} do not meet the rest of the model")
    encoder = skeleton.copy()
    outputs = [str(v.name) for v in graph.outputs if v.producer() in late]
    early = [str(v.name) for v in graph.outputs if v.producer() not in late]
    _cut_decoder(graph, crossing, own, outputs)
    _cut_encoder(encoder.model.graph, crossing, set(decoder_inputs), early)
    for half in (encoder, decoder):
        common.RemoveUnusedNodesPass()(half.model)
    return Halves(
        encoder,
        decoder,
        [Handed(c.name, str(c.value.name)) for c in crossing],
        [str(v.name) for v in encoder.model.graph.inputs],
        [str(v.name) for v in graph.inputs if v.name in decoder_inputs],
    )


def _no_heir(skeleton: Skeleton) -> Cannot:
    """No state is handed over; what an autoencoder hands over instead is named."""
    for node in [*skeleton.recurrent_nodes(), *skeleton.custom_nodes()]:
        spec = skeleton.layer_spec(node)
        source = _ended_layer(skeleton, node.inputs[: spec.first_state])
        if source is not None:
            reason = (
                f"its sequence is made of what layer {source!r} gives at its end, as RepeatVector "
                "does: that vector could be handed over, but no state and no input to step with"
            )
            return Cannot(reason, spec.name)
    return Cannot("no recurrent layer starts from a state that another recurrent layer gives")


def _ended_layer(skeleton: Skeleton, sequence: Sequence[ir.Value | None]) -> str | None:
    """The layer whose last output or final state the sequence is made of."""
    pending, visited = [v for v in sequence if v is not None], set[ir.Value]()
    while pending:
        value = pending.pop()
        node = value.producer()
        if value in visited or node is None or node.op_type in SIZES:
            continue
        visited.add(value)
        if node.domain == DOMAIN:
            spec = skeleton.any_spec(node)
            if isinstance(spec, (RecurrentSpec, CustomSpec)) and value.index():
                return spec.name
            continue
        pending.extend(reads(node))
    return None


_Use = tuple[ir.Node, int]
"""A node and which of its inputs."""


@dataclass(frozen=True, eq=False)
class _Crossing:
    """A value of the encoder and who of the decoder reads it."""

    name: str
    value: ir.Value
    uses: list[_Use]
    state: bool


def _heirs(skeleton: Skeleton) -> Iterator[ir.Node]:
    """Recurrent nodes that start from what another recurrent node gives."""
    inputs = set(skeleton.model.graph.inputs)
    for node in [*skeleton.recurrent_nodes(), *skeleton.custom_nodes()]:
        for start in _starts(skeleton, node):
            behind = sequence_behind(start, inputs) if start is not None else None
            if behind is not None and behind.domain == DOMAIN:
                yield node
                break


def _starts(skeleton: Skeleton, node: ir.Node) -> Sequence[ir.Value | None]:
    """The initial states of a layer that a stream carries; none of others."""
    spec = skeleton.layer_spec(node)
    if spec.inner:
        return ()
    if isinstance(spec, RecurrentSpec) and (not spec.has_state or spec.step or spec.pair):
        return ()
    return node.inputs[spec.first_state : spec.first_state + spec.state_count]


def _inputs_behind(values: Sequence[ir.Value | None], graph: ir.Graph) -> set[ir.Value]:
    """Graph inputs that any of the values depends on."""
    pending, visited = [v for v in values if v is not None], set[ir.Value]()
    while pending:
        value = pending.pop()
        if value in visited:
            continue
        visited.add(value)
        producer = value.producer()
        if producer is not None:
            pending.extend(reads(producer))
    return visited & set(graph.inputs)


def _with_sizes(graph: ir.Graph, late: set[ir.Node | None]) -> set[ir.Node | None]:
    """The nodes, and those that tell them sizes: a size has no batch axis to be handed over by."""
    told = dict.fromkeys(v for node in graph if node.op_type in SIZES for v in node.outputs)
    for node in graph:
        sources = [v for v in reads(node) if not v.is_initializer()]
        if sources and not node.domain and all(v in told for v in sources):
            told.update(dict.fromkeys(node.outputs))
    pending = [v for node in late if node is not None for v in reads(node)]
    found = set(late)
    while pending:
        value = pending.pop()
        teller = value.producer()
        if value in told and teller is not None and teller not in found:
            found.add(teller)
            pending.extend(reads(teller))
    return found


def _crossing(skeleton: Skeleton, late: Set[ir.Node | None], own: Set[ir.Value]) -> list[_Crossing]:
    """Values that the encoder makes from its inputs and the decoder reads."""
    graph = skeleton.model.graph
    sources = {v for v in graph.inputs if v not in own}
    made = dependents(graph, sources)
    values = [*(v for v in graph.inputs if v in sources)]
    values += [v for node in graph if node in made and node not in late for v in node.outputs]
    found: list[_Crossing] = []
    taken = {str(v.name) for v in (*graph.inputs, *graph.outputs)}
    holders = _holders(graph)
    for value in values:
        uses = [(u.node, u.idx) for u in value.uses() if holders.get(u.node, u.node) in late]
        starts = [use for use in uses if _is_start(skeleton, use)]
        for use in starts:
            name = _unique(_state_name(skeleton, use), taken)
            found.append(_Crossing(name, value, [use], state=True))
        others = [use for use in uses if use not in starts]
        if others:
            name = _unique(_context_name(skeleton, value), taken)
            found.append(_Crossing(name, value, others, state=False))
    order = {token: number for number, token in enumerate(skeleton.specs)}

    def place(one: _Crossing) -> tuple[bool, int, int]:
        node, index = one.uses[0]
        return not one.state, order[token_of(node)] if one.state else 0, index * one.state

    return sorted(found, key=place)


def _holders(graph: ir.Graph) -> dict[ir.Node, ir.Node]:
    """Nodes of subgraphs, and the node of the graph that holds each."""
    return {
        inner: node
        for node in graph
        for attribute in node.attributes.values()
        if attribute.type == ir.AttributeType.GRAPH
        for inner in attribute.as_graph().all_nodes()
    }


def _is_start(skeleton: Skeleton, use: _Use) -> bool:
    node, index = use
    if node.domain != DOMAIN or node.op_type not in (OP, CUSTOM):
        return False
    spec = skeleton.layer_spec(node)
    if isinstance(spec, RecurrentSpec) and (not spec.has_state or spec.step):
        return False
    return spec.first_state <= index < spec.first_state + spec.state_count


def _state_name(skeleton: Skeleton, use: _Use) -> str:
    node, index = use
    spec = skeleton.layer_spec(node)
    label, _ = spec.state_labels[index - spec.first_state]
    return _clean(f"{spec.name}_{label}_start")


def _context_name(skeleton: Skeleton, value: ir.Value) -> str:
    producer = value.producer()
    if producer is None:
        return _clean(f"{value.name}_context")
    if producer.domain == DOMAIN:
        kind = "outputs" if value.index() == 0 else "last" if value.index() == 1 else "state"
        return _clean(f"{skeleton.any_spec(producer).name}_{kind}")
    scopes = [part for part in str(value.name).split(":")[0].split("/") if part]
    layer = scopes[-2] if len(scopes) > 1 else scopes[0]
    return _clean(f"{layer}_context")


def _clean(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_") or "context"


def _unique(wish: str, taken: set[str]) -> str:
    name, number = wish, 2
    while name in taken:
        name, number = f"{wish}_{number}", number + 1
    taken.add(name)
    return name


def _cut_decoder(
    graph: ir.Graph, crossing: Sequence[_Crossing], own: Set[ir.Value], outputs: Sequence[str]
) -> None:
    kept = [v for v in graph.inputs if v in own]
    # A graph input handed through as it is keeps its name on the encoder's side alone.
    for value in graph.inputs:
        if value not in own:
            value.name = f"{value.name}/source"
    entering = []
    for one in crossing:
        value = ir.Value(name=one.name, type=one.value.type, shape=one.value.shape)
        for node, index in one.uses:
            node.replace_input_with(index, value)
        entering.append(value)
    left = [v for v in graph.outputs if v.name in outputs]
    graph.outputs.clear()
    graph.outputs.extend(left)
    graph.inputs.clear()
    graph.inputs.extend([*kept, *entering])


def _cut_encoder(
    graph: ir.Graph, crossing: Sequence[_Crossing], dropped: Set[str], early: Sequence[str]
) -> None:
    by_name = {str(v.name): v for v in graph.inputs}
    by_name |= {str(v.name): v for node in graph for v in node.outputs}
    leaving = []
    for one in crossing:
        source = by_name[str(one.value.name).removesuffix("/source")]
        copy = ir.node("Identity", [source])
        copy.outputs[0].name = one.name
        copy.outputs[0].type, copy.outputs[0].shape = source.type, source.shape
        graph.append(copy)
        leaving.append(copy.outputs[0])
    kept = [v for v in graph.outputs if v.name in early]
    graph.outputs.clear()
    graph.outputs.extend([*leaving, *kept])
    inputs = [v for v in graph.inputs if v.name not in dropped]
    graph.inputs.clear()
    graph.inputs.extend(inputs)
