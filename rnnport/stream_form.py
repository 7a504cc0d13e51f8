"""The stream form: every state at the border of the graph, kept only after the proof.

Whether a model can be streamed is not concluded from its layers: the lifted graph is run in random
chunks and in single steps against the whole run, and what differs is not streamable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import onnx_ir as ir

from rnnport.building import Built, Settings, drop_form, graph_facts, refused, write_form
from rnnport.capture.causality import find_blame
from rnnport.capture.open_cell import layer_of_cell
from rnnport.capture.reference import Reference
from rnnport.capture.skeleton import build_skeleton
from rnnport.capture.source import Source
from rnnport.capture.trace import trace
from rnnport.capture.wording import gist
from rnnport.graph.finish import describe
from rnnport.graph.lift import CannotLift, Lifted, lift
from rnnport.graph.lower import lower
from rnnport.graph.origins import dependents
from rnnport.graph.skeleton import Skeleton
from rnnport.parity.streaming import Cut, check_streaming, cuts
from rnnport.parity.subject import run_form
from rnnport.spec import Check, FixedAxis, Form, LayerReport, Port, State, Streamable
from rnnport.versions import VERSION

__all__ = ["STREAM_FILE", "Stream", "build_stream", "describe_stream", "one_time"]

STREAM_FILE = "stream.onnx"


@dataclass(frozen=True, eq=False)
class Stream:
    """The verdict, and the form where there is one.

    Attributes:
        verdict: streamable or why not.
        form: stream.onnx in the draft folder, or None.
        checks: the proof.
    """

    verdict: Streamable
    form: Form | None = None
    checks: Sequence[Check] = ()


def build_stream(
    source: Source, built: Built, reference: Reference, folder: Path, settings: Settings
) -> Stream:
    """Lift, lower, write and prove the stream form.

    Args:
        source: the model.
        built: its whole form, right already.
        reference: the model in TensorFlow, to find out who looks ahead.
        folder: receives stream.onnx.
        settings: what was asked for.
    """
    if source.states:
        return _named(source, built, folder, settings)
    obstacle = _obstacle(source, built)
    if obstacle is not None:
        return Stream(obstacle)
    path = folder / STREAM_FILE
    try:
        skeleton, ports = _skeleton(source, built, settings)
        lifted = lift(skeleton, ports)
        form = _write(skeleton, lifted, source, built, path, settings)
    except CannotLift as error:
        return Stream(_no(error.reason, error.layer))
    except Exception as error:  # the whole form is right, and must not be lost over its stream
        drop_form(folder, STREAM_FILE)
        return Stream(_no(f"lifting it failed: {type(error).__name__}: {gist(error)}"))
    checks, found = _prove(form, built, folder)
    if all(check.passed for check in checks):
        return Stream(Streamable(ok=True), form, checks)
    drop_form(folder, STREAM_FILE)
    return Stream(_blame(source, built, reference, checks, found))


def _named(source: Source, built: Built, folder: Path, settings: Settings) -> Stream:
    """A graph whose states are inputs and outputs already: the same graph, saying so."""
    skeleton, path = built.skeleton.copy(), folder / STREAM_FILE
    ports = {port.name: port for port in built.form.inputs}
    ends = set(source.states.values())
    kept = [p for p in built.form.outputs if p.name not in ends] or list(built.form.outputs[:1])
    states = []
    for taken, given in source.states.items():
        output, end = given, given
        if given in [port.name for port in kept]:
            output, end = f"{taken.removesuffix('_in')}_out", ""
            _give_too(skeleton, given, output)
        port = ports[taken]
        states.append(
            State(
                input=taken, output=output, dtype=port.dtype, shape=port.shape, start=taken, end=end
            )
        )
    inputs = [one_time(p) for p in built.form.inputs if p.name not in source.states]
    outputs = [one_time(port) for port in kept]
    lower(skeleton, settings.target)
    describe_stream(skeleton.model, inputs, outputs, states, source, built.layers, settings)
    form = write_form(skeleton.model, path, inputs, outputs, states=states)
    checks, _ = _prove(form, built, folder)
    failed = next((check for check in checks if not check.passed), None)
    if failed is None:
        return Stream(Streamable(ok=True), form, checks)
    drop_form(folder, STREAM_FILE)
    seen = failed.note or f"output {failed.output!r} differs by {failed.error:.2g}"
    return Stream(_no(f"with the states named, chunks do not add up to the whole run ({seen})"))


def _give_too(skeleton: Skeleton, name: str, state: str) -> None:
    """Give an output's value out once more, as a state's next one."""
    graph = skeleton.model.graph
    copy = ir.node("Identity", [next(v for v in graph.outputs if v.name == name)])
    copy.outputs[0].name = state
    graph.append(copy)
    graph.outputs.append(copy.outputs[0])


def _no(reason: str, layer: str = "") -> Streamable:
    return Streamable(ok=False, reason=reason, layer=layer)


def _obstacle(source: Source, built: Built) -> Streamable | None:
    """What can be said before anything is lifted."""
    for layer in built.traced.context.opaque:
        return _no(f"{layer.reason}; its state stays inside the graph", layer.name)
    if open_axis := _open_axis(built.plan.ports):
        return open_axis
    steps = _steps(built.skeleton) or layer_of_cell(source) is not None
    timed = any(port.has_time for port in built.plan.ports)
    if steps or (timed and _follows_time(built)):
        return None
    fixed = next((f for f in built.plan.fixed if f.axis == 1), None)
    if fixed:
        return _fixed_time(fixed)
    if timed:
        return _no("no output depends on an input with a time axis")
    return _no("no input has a time axis")


def _open_axis(ports: Sequence[Port]) -> Streamable | None:
    """Steps of one stream must be alike: behind its time no axis of an input may be open."""
    for port in ports:
        for number, axis in enumerate(port.shape[2:], 2):
            if isinstance(axis, str):
                return _no(
                    f"axis {number} of input {port.name!r} is open beside its time; "
                    "with one size there the model can be streamed"
                )
    return None


def _follows_time(built: Built) -> bool:
    """Whether any output depends on a sequence of open length."""
    graph = built.skeleton.model.graph
    pairs = zip(graph.inputs, built.plan.ports, strict=True)
    timed = {value for value, port in pairs if port.has_time}
    moving = dependents(graph, timed)
    return any(v in timed or v.producer() in moving for v in graph.outputs)


def _fixed_time(fixed: FixedAxis) -> Streamable:
    return _no(f"the length is fixed at {fixed.size}: {fixed.reason}", fixed.layer)


def _steps(skeleton: Skeleton) -> bool:
    """Whether the model computes one step."""
    nodes = skeleton.recurrent_nodes()
    return bool(nodes) and all(skeleton.spec(node).step for node in nodes)


def _skeleton(source: Source, built: Built, settings: Settings) -> tuple[Skeleton, Sequence[Port]]:
    """The skeleton to lift; a bare cell is put into a layer, so that it takes chunks too."""
    layer = layer_of_cell(source)
    if layer is None:
        return built.skeleton.copy(), built.plan.ports
    port = built.plan.ports[0].with_time()
    traced = trace(layer, [[None if isinstance(a, str) else a for a in port.shape]])
    return build_skeleton(traced, [port], settings.opset), [port]


def _write(
    skeleton: Skeleton,
    lifted: Lifted,
    source: Source,
    built: Built,
    path: Path,
    settings: Settings,
) -> Form:
    lower(skeleton, settings.target)
    inputs = [one_time(port) for port in lifted.inputs]
    by_name = {port.name: port for port in built.form.outputs}
    cell = layer_of_cell(source) is not None
    outputs = [_output(by_name[name], cell) for name in lifted.outputs]
    states = [_as_claimed(state, inputs) for state in _starts(lifted.states, built, cell)]
    describe_stream(skeleton.model, inputs, outputs, states, source, built.layers, settings)
    timed = any(port.has_time for port in inputs)
    fixed = [port.name for port in inputs if not port.has_time] if timed else []
    return write_form(skeleton.model, path, inputs, outputs, states=states, fixed=fixed)


def one_time(port: Port) -> Port:
    """All sequences of a stream advance together: one letter."""
    shape = ["T" if isinstance(a, str) and a.startswith("T") else a for a in port.shape]
    return msgspec.structs.replace(port, shape=shape)


def _output(port: Port, cell: bool) -> Port:
    return port.with_time() if cell else one_time(port)


def _starts(states: Sequence[State], built: Built, cell: bool) -> list[State]:
    """A bare cell's states may start from what the whole form takes, and end what it gives."""
    if not cell:
        return list(states)
    starts, ends = built.form.inputs[1:], built.form.outputs[1:]
    return [
        msgspec.structs.replace(state, start=start.name, end=end.name)
        for state, start, end in zip(states, starts, ends, strict=True)
    ]


def _as_claimed(state: State, inputs: Sequence[Port]) -> State:
    """The batch axis as the inputs have it: a model may fix its size."""
    return msgspec.structs.replace(state, shape=[inputs[0].shape[0], *state.shape[1:]])


def describe_stream(
    model: ir.Model,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    states: Sequence[State],
    source: Source,
    layers: Sequence[LayerReport],
    settings: Settings,
) -> None:
    """Write ports, states and facts into a graph whose states stand behind its ports."""
    facts = graph_facts(source, inputs, outputs, layers, settings)
    facts["rnnport.states"] = msgspec.json.encode(states).decode()
    taken = [Port(name=s.input, dtype=s.dtype, shape=s.shape) for s in states]
    given = [Port(name=s.output, dtype=s.dtype, shape=s.shape) for s in states]
    describe(model, [*inputs, *taken], [*outputs, *given], facts, VERSION)


def _prove(form: Form, built: Built, folder: Path) -> tuple[list[Check], list[Cut]]:
    shortest = min((size for letter, size in built.plan.sizes.items() if letter != "B"), default=4)
    found = cuts(built.form, form, shortest=shortest)
    try:
        whole, stream = (run_form(folder / f.record.file, f) for f in (built.form, form))
    except Exception as error:  # onnxruntime's loader raises many types
        return [refused("stream", error)], found
    return check_streaming(built.form, form, whole, stream, found), found


def _blame(
    source: Source,
    built: Built,
    reference: Reference,
    checks: Sequence[Check],
    found: Sequence[Cut],
) -> Streamable:
    """Name the layer that looks ahead, or else say what was seen."""
    inputs = {port.name: found[0].inputs[port.name] for port in built.form.inputs}
    time = sum(found[0].lengths)
    end = time - time // 3
    beginning = {
        p.name: inputs[p.name][:, :end] if p.has_time else inputs[p.name] for p in built.plan.ports
    }
    blame = find_blame(reference, inputs, beginning, time, end)
    if blame is not None:
        return _no(blame.reason, blame.layer)
    if lengths := built.traced.context.lengths:
        return _no("lengths say where each row ends, which a stream cannot know", lengths[0])
    failed = next(check for check in checks if not check.passed)
    seen = failed.note or f"output {failed.output!r} differs by {failed.error:.2g}"
    return _no(f"chunks do not add up to the whole run ({failed.name}: {seen})", source.name)
