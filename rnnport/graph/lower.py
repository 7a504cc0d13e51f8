"""Turns every `Recurrent` node of a skeleton into real ONNX operators, by kind, mask and target."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import onnx_ir as ir

from rnnport.carried import ContextSpec, PoolSpec
from rnnport.graph.activations import holds_state
from rnnport.graph.body_types import declare_body_types
from rnnport.graph.call import Call, Lowered, MaskPlans
from rnnport.graph.chain import fuse_chains
from rnnport.graph.emit import Emitter, stand_in
from rnnport.graph.lower_compact import lower_compact
from rnnport.graph.lower_context import lower_context
from rnnport.graph.lower_custom import lower_custom
from rnnport.graph.lower_hold import lower_hold
from rnnport.graph.lower_packed import lower_packed
from rnnport.graph.lower_pair import can_pair, lower_pair
from rnnport.graph.lower_plain import lower_plain
from rnnport.graph.lower_pool import lower_pool
from rnnport.graph.lower_scan import lower_scan
from rnnport.graph.lower_step import lower_step
from rnnport.graph.masking import shorten_masking
from rnnport.graph.obstacles import obstacle
from rnnport.graph.scan_captures import carry_captures
from rnnport.graph.skeleton import CONTEXT, DOMAIN, POOL, Skeleton
from rnnport.graph.tidy import tidy
from rnnport.spec import LayerReport

__all__ = ["TARGETS", "lower"]

TARGETS = ("portable", "cpu", "cuda", "openvino")
_RECURRENT = ("LSTM", "GRU", "RNN", "Scan")


def lower(skeleton: Skeleton, target: str) -> list[LayerReport]:
    """Lower in place.

    Args:
        skeleton: its model is rewritten; afterwards it holds standard operators only.
        target: one of TARGETS.

    Returns:
        How each recurrent layer was lowered, in the order of their first call.
    """
    if target == "cpu":
        shorten_masking(skeleton.model.graph)
    _lower_carried(skeleton)
    fuse_chains(skeleton)
    plans = MaskPlans()
    reports: list[LayerReport] = []
    given: list[tuple[str, ir.Value]] = []
    done: set[int] = set()
    nodes = skeleton.recurrent_nodes()
    for index, node in enumerate(nodes):
        if id(node) in done:
            continue
        call = _call(skeleton, node, plans, target)
        if call.spec.step:
            states, how = lower_step(call)
            _replace(node, states)
            given += [(call.spec.name, value) for value in states]
            reports.append(_report(call, how, ""))
            continue
        partner = _partner(skeleton, node, nodes[index + 1 :])
        if partner is not None:
            other = _call(skeleton, partner, plans, target, before=node)
            both = sorted(((call, node), (other, partner)), key=lambda p: p[0].spec.go_backwards)
            (forward, _), (backward, _) = both
            if can_pair(forward, backward):
                halves = lower_pair(forward, backward)
                for (its_call, one), lowered in zip(both, halves, strict=True):
                    given += _finish(one, lowered, its_call.spec.name)
                    reports.append(_report(its_call, lowered.how, lowered.reason))
                done.add(id(partner))
                continue
        lowered = _lower_one(call)
        given += _finish(node, lowered, call.spec.name)
        reports.append(_report(call, lowered.how, lowered.reason))
    reports += _lower_custom_cells(skeleton, given)
    skeleton.model.graph.opset_imports.pop(DOMAIN, None)
    tidy(skeleton.model)
    if target == "openvino":
        carry_captures(skeleton.model)
    declare_body_types(skeleton.model)
    order = [spec.name for spec in skeleton.specs.values()]
    ordered = _without_repeats(sorted(reports, key=lambda report: order.index(report.name)))
    return _with_values(ordered, given, skeleton.model.graph)


def _with_values(
    reports: Sequence[LayerReport], given: Sequence[tuple[str, ir.Value]], graph: ir.Graph
) -> list[LayerReport]:
    """Say which tensor holds what a layer gives, where the finished graph still has it."""
    names: dict[str, str] = {}
    for layer, value in given:
        producer = value.producer()
        if value.name and producer is not None and producer.graph is graph and _used(value):
            names.setdefault(layer, value.name)
    for node in graph:
        if node.op_type in _RECURRENT and (name := node.outputs[0].name):
            # Both halves of a pair may come out of one operator, and go on joined.
            names.setdefault(name.rpartition("/")[0], name)
    return [msgspec.structs.replace(r, value=names.get(r.name, "")) for r in reports]


def _lower_custom_cells(skeleton: Skeleton, given: list[tuple[str, ir.Value]]) -> list[LayerReport]:
    """Custom cells, after the standard ones that they may run inside; adds what they give."""
    reports = []
    for node in skeleton.custom_nodes():
        spec, graph = skeleton.custom_spec(node), node.graph
        assert isinstance(graph, ir.Graph)
        emit = Emitter(graph, before=node, weights=skeleton.model.graph, prefix=f"{spec.name}/")
        values, reason = lower_custom(emit, spec, node)
        _replace(node, values)
        given += [(spec.name, value) for value in values]
        units = [sizes[-1] for sizes in spec.outputs if sizes]
        reports.append(
            LayerReport(
                name=spec.name, kind=spec.layer_kind, units=units, lowering="Scan", reason=reason
            )
        )
    return reports


def _lower_carried(skeleton: Skeleton) -> None:
    """Contexts and poolings; no rows in the report, since they are no recurrent layers."""
    for node in [*skeleton.nodes(CONTEXT), *skeleton.nodes(POOL)]:
        spec, graph = skeleton.any_spec(node), node.graph
        assert isinstance(graph, ir.Graph)
        emit = Emitter(graph, before=node, weights=skeleton.model.graph, prefix=f"{spec.name}/")
        inputs = [v for v in node.inputs if v is not None]
        if isinstance(spec, ContextSpec):
            _replace(node, lower_context(emit, spec, inputs))
        elif isinstance(spec, PoolSpec):
            _replace(node, lower_pool(emit, spec, inputs))


def _call(
    skeleton: Skeleton,
    node: ir.Node,
    plans: MaskPlans,
    target: str,
    *,
    before: ir.Node | None = None,
) -> Call:
    spec = skeleton.spec(node)
    inputs = list(node.inputs)
    mask = inputs.pop() if spec.has_mask else None
    states = inputs[1 : 1 + spec.state_count] if spec.has_state else []
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    outer = skeleton.model.graph
    prefix = f"{spec.name}/"
    first = inputs[0]
    assert first is not None
    return Call(
        spec=spec,
        emit=Emitter(graph, before=before or node, weights=outer, prefix=prefix),
        x=first,
        states=tuple(s for s in states if s is not None),
        mask=mask,
        plans=plans,
        wants_states=tuple(_used(value) for value in node.outputs[2:]),
        target=target,
    )


def _used(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()


def _partner(skeleton: Skeleton, node: ir.Node, later: Sequence[ir.Node]) -> ir.Node | None:
    pair = skeleton.spec(node).pair
    for other in later:
        if pair and skeleton.spec(other).pair == pair and other.graph is node.graph:
            return other
    return None


def _lower_one(call: Call) -> Lowered:
    cells, target = call.spec.cells, call.target
    obstacles = filter(None, (obstacle(cell, call.target) for cell in cells))
    if first := next(obstacles, ""):
        return lower_scan(call, first)
    if call.spec.unit_mask:
        return lower_scan(call, "the mask treats every unit on its own")
    simple = all(cell.kind == "SimpleRNN" for cell in cells)
    # A stream comes step by step, where finding out which steps are valid costs more than it saves.
    packs = target == "cpu" and not call.spec.stream
    if target == "cpu" and simple and not (packs and call.mask is not None):
        return lower_scan(call, "faster than onnxruntime's RNN operator on CPU")
    if call.mask is None:
        return lower_plain(call)
    if packs:
        return lower_packed(call)
    if len(cells) == 1 and cells[0].kind == "GRU" and holds_state(cells[0]):
        return lower_hold(call)
    if target == "cpu":
        return lower_packed(call)
    if _needs_hold_it_lacks(call):
        return lower_scan(call, "masked, and the gates do not saturate at 0 and 1")
    return lower_compact(call)


def _needs_hold_it_lacks(call: Call) -> bool:
    """An LSTM whose final c is read must hold it over the padding behind compacted steps."""
    start = 0
    for cell in call.spec.cells:
        wants_c = cell.kind == "LSTM" and call.wants_states[start + 1]
        if wants_c and not holds_state(cell):
            return True
        start += len(cell.states)
    return False


def _finish(node: ir.Node, lowered: Lowered, name: str) -> list[tuple[str, ir.Value]]:
    """What the layer of this name gives."""
    values = [lowered.outputs, lowered.last, *lowered.finals]
    _replace(node, values)
    return [(name, value) for value in values]


def _replace(node: ir.Node, values: Sequence[ir.Value]) -> None:
    for old, new in zip(node.outputs, values, strict=True):
        stand_in(old, new)
    graph = node.graph
    assert graph is not None
    graph.remove(node, safe=True)


def _report(call: Call, how: str, reason: str) -> LayerReport:
    spec = call.spec
    return LayerReport(
        name=spec.name,
        kind=spec.layer_kind,
        units=[cell.units for cell in spec.cells],
        lowering=how,
        reason=reason,
    )


def _without_repeats(reports: Sequence[LayerReport]) -> list[LayerReport]:
    """A layer called several times in one way is one row."""
    kept: list[LayerReport] = []
    for report in reports:
        if report not in kept:
            kept.append(report)
    return kept
