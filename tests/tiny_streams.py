"""Small artifacts with a stream form, made with onnx alone: no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rnnport.artifact.golden import GOLDEN_FILE, write_golden
from rnnport.artifact.load import Artifact
from rnnport.artifact.manifest import record
from rnnport.artifact.save import staging
from rnnport.spec import Form, Manifest, Port, Sampling, State, Streamable, Structure
from tests.tiny import count_nodes, golden_cases, leaf, make_model

F, U = 3, 4
Nodes = list[onnx.NodeProto]


def floats(name: str, *shape: int | str) -> Port:
    return Port(name=name, dtype="float32", shape=list(shape), sampling=Sampling())


def ids(name: str, *shape: int | str) -> Port:
    sampling = Sampling(kind="ids", high=7)
    return Port(name=name, dtype="int64", shape=list(shape), sampling=sampling)


def state(name: str, *shape: int | str, dtype: str = "float32", start: str = "") -> State:
    return State(
        input=f"{name}_in", output=f"{name}_out", dtype=dtype, shape=list(shape), start=start
    )


@dataclass(frozen=True)
class Graph:
    """A stream form in parts: nodes reads <state>_in and writes <state>_out."""

    inputs: list[Port]
    outputs: list[Port]
    states: list[State]
    nodes: Nodes
    weights: dict[str, np.ndarray]
    fixed: list[str] = field(default_factory=list)
    input_structure: Structure | None = None
    output_structure: Structure | None = None


def weights(seed: int, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    drawn = {n: rng.standard_normal(s).astype(np.float32) * 0.5 for n, s in shapes.items()}
    return drawn | {f"a{n}": np.array([n], np.int64) for n in (0, 1, 2)}


def recurrent(op: str, x: str, y: str, states: list[str], units: int = U) -> Nodes:
    """x (B, T, F) to y (B, T, U), states in and out."""
    node = helper.make_node
    firsts = [f"{s}_first" for s in states]
    lasts = [f"{s}_last" for s in states]
    return [
        node("Transpose", [x], ["xt"], perm=[1, 0, 2]),
        *(node("Unsqueeze", [f"{s}_in", "a0"], [f]) for s, f in zip(states, firsts, strict=True)),
        node(op, ["xt", "W", "R", "", "", *firsts], ["yt", *lasts], hidden_size=units),
        node("Squeeze", ["yt", "a1"], ["ys"]),
        node("Transpose", ["ys"], [y], perm=[1, 0, 2]),
        *(node("Squeeze", [f, "a0"], [f"{s}_out"]) for s, f in zip(states, lasts, strict=True)),
    ]


def lstm(features: int = F, units: int = U) -> Graph:
    """(a) An output for every step."""
    return Graph(
        inputs=[floats("x", "B", "T", features)],
        outputs=[floats("y", "B", "T", units)],
        states=[state("lstm_h", "B", units), state("lstm_c", "B", units)],
        nodes=recurrent("LSTM", "x", "y", ["lstm_h", "lstm_c"], units),
        weights=weights(0, W=(1, 4 * units, features), R=(1, 4 * units, units)),
    )


def last_only() -> Graph:
    """(b) Only the last output."""
    whole = lstm()
    nodes = [*whole.nodes, helper.make_node("Identity", ["lstm_h_out"], ["last"])]
    return Graph(whole.inputs, [floats("last", "B", U)], whole.states, nodes, whole.weights)


def embedded() -> Graph:
    """(c) Token ids, through a table of 7 rows and a GRU."""
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["e"]),
        *recurrent("GRU", "e", "y", ["gru_h"]),
    ]
    return Graph(
        [ids("tokens", "B", "T")],
        [floats("y", "B", "T", U)],
        [state("gru_h", "B", U)],
        nodes,
        weights(1, table=(7, F), W=(1, 3 * U, F), R=(1, 3 * U, U)),
    )


def speaker() -> Graph:
    """(d) A fixed input, added to every output."""
    whole = lstm()
    nodes = [
        *recurrent("LSTM", "x", "plain", ["lstm_h", "lstm_c"]),
        helper.make_node("Unsqueeze", ["speaker", "a1"], ["s"]),
        helper.make_node("Add", ["plain", "s"], ["y"]),
    ]
    return Graph(
        [*whole.inputs, floats("speaker", "B", U)],
        whole.outputs,
        whole.states,
        nodes,
        whole.weights,
        fixed=["speaker"],
        input_structure=Structure(kind="list", items=[leaf("x"), leaf("speaker")]),
    )


def pair() -> Graph:
    """(e) Two inputs a step in a dict, outputs in a dict: every step's and the last."""
    node = helper.make_node
    nodes = [
        node("Cast", ["tokens"], ["f"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["f", "a2"], ["u"]),
        node("Concat", ["left", "u"], ["x"], axis=2),
        *recurrent("GRU", "x", "y", ["gru_h"]),
        node("Identity", ["gru_h_out"], ["last"]),
    ]
    return Graph(
        [floats("left", "B", "T", 2), ids("tokens", "B", "T")],
        [floats("y", "B", "T", U), floats("last", "B", U)],
        [state("gru_h", "B", U)],
        nodes,
        weights(2, W=(1, 3 * U, 3), R=(1, 3 * U, U)),
        input_structure=Structure(
            kind="dict", keys=["video", "words"], items=[leaf("left"), leaf("tokens")]
        ),
        output_structure=Structure(
            kind="dict", keys=["all", "end"], items=[leaf("y"), leaf("last")]
        ),
    )


def one_step() -> Graph:
    """(f) Exactly one step: no time axis anywhere."""
    node = helper.make_node
    nodes = [
        node("Unsqueeze", ["x", "a1"], ["xs"]),
        *recurrent("LSTM", "xs", "ystep", ["lstm_h", "lstm_c"]),
        node("Squeeze", ["ystep", "a1"], ["y"]),
    ]
    return Graph(
        [floats("x", "B", F)],
        [floats("y", "B", U)],
        lstm().states,
        nodes,
        lstm().weights,
    )


def started() -> Graph:
    """(g) A state that may start from a model input."""
    return Graph(
        [floats("x", "B", "T", F)],
        [floats("y", "B", "T", U)],
        [state("gru_h", "B", U, start="h0")],
        recurrent("GRU", "x", "y", ["gru_h"]),
        weights(3, W=(1, 3 * U, F), R=(1, 3 * U, U)),
        input_structure=Structure(kind="list", items=[leaf("x"), leaf("h0")]),
    )


def counter(batch: int | str = "B") -> Graph:
    """(h) An int64 and a bool state: the number of the step is added, and whether it began."""
    node = helper.make_node
    nodes = [
        node("Shape", ["x"], ["t"], start=1, end=2),
        node("Squeeze", ["t", "a0"], ["end"]),
        node("Range", ["zero", "end", "one"], ["steps"]),
        node("Unsqueeze", ["count_in", "a1"], ["c"]),
        node("Add", ["c", "steps"], ["positions"]),
        node("Cast", ["positions"], ["p"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["p", "a2"], ["q"]),
        node("Add", ["x", "q"], ["y"]),
        node("Add", ["count_in", "end"], ["count_out"]),
        node("Not", ["begun_in"], ["fresh"]),
        node("Or", ["fresh", "begun_in"], ["begun_out"]),
    ]
    scalars = {"zero": np.array(0, np.int64), "one": np.array(1, np.int64)}
    return Graph(
        [floats("x", batch, "T", F)],
        [floats("y", batch, "T", F)],
        [state("count", batch, dtype="int64"), state("begun", batch, dtype="bool")],
        nodes,
        weights(4) | scalars,
    )


GRAPHS: dict[str, Any] = {
    "lstm": lstm,
    "last_only": last_only,
    "embedded": embedded,
    "speaker": speaker,
    "pair": pair,
    "one_step": one_step,
    "started": started,
    "counter": counter,
}


def stream_artifact(out: Path, graph: Graph, name: str = "tiny") -> Artifact:
    """An artifact with a stream form; its model form begins with zeros, or from the starts."""
    starts = [
        Port(name=s.start, dtype=s.dtype, shape=s.shape, sampling=Sampling())
        for s in graph.states
        if s.start
    ]
    model = _model_form(graph, starts)
    ports = [*graph.inputs, *starts]
    with staging(out) as draft:
        onnx.save(model, draft.folder / "model.onnx")
        onnx.save(_stream_form(graph), draft.folder / "stream.onnx")
        write_golden(draft.folder / GOLDEN_FILE, golden_cases(model, ports))
        return draft.commit(
            Manifest(
                name=name,
                versions={},
                source={},
                target="portable",
                opset=18,
                forms={
                    "model": Form(
                        record=record(draft.folder / "model.onnx"),
                        inputs=ports,
                        outputs=graph.outputs,
                        op_counts=count_nodes(draft.folder / "model.onnx"),
                    ),
                    "stream": Form(
                        record=record(draft.folder / "stream.onnx"),
                        inputs=graph.inputs,
                        outputs=graph.outputs,
                        states=graph.states,
                        fixed=graph.fixed,
                        op_counts=count_nodes(draft.folder / "stream.onnx"),
                    ),
                },
                input_structure=graph.input_structure or leaf(ports[0].name),
                output_structure=graph.output_structure or leaf(graph.outputs[0].name),
                golden=record(draft.folder / GOLDEN_FILE),
                streamable=Streamable(ok=True),
            )
        )


def _stream_form(graph: Graph) -> onnx.ModelProto:
    before = [Port(name=s.input, dtype=s.dtype, shape=s.shape) for s in graph.states]
    after = [Port(name=s.output, dtype=s.dtype, shape=s.shape) for s in graph.states]
    return make_model(graph.nodes, [*graph.inputs, *before], [*graph.outputs, *after], _used(graph))


def _model_form(graph: Graph, starts: list[Port]) -> onnx.ModelProto:
    """The same graph; every state begins with zeros of the batch's size, or from its start."""
    node = helper.make_node
    first = graph.inputs[0].name
    begin: Nodes = [node("Shape", [first], ["batch"], start=0, end=1)]
    for s in graph.states:
        if s.start:
            begin.append(node("Identity", [s.start], [s.input]))
            continue
        sizes = np.array(s.shape[1:], np.int64)
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(s.dtype))
        zero = helper.make_tensor("zero", kind, [1], [0])
        begin += [
            node("Constant", [], [f"{s.name}_sizes"], value=numpy_helper.from_array(sizes)),
            node("Concat", ["batch", f"{s.name}_sizes"], [f"{s.name}_shape"], axis=0),
            node("ConstantOfShape", [f"{s.name}_shape"], [s.input], value=zero),
        ]
    return make_model([*begin, *graph.nodes], [*graph.inputs, *starts], graph.outputs, _used(graph))


def _used(graph: Graph) -> dict[str, np.ndarray]:
    """The weights that some node reads; onnxruntime warns of others."""
    read = {name for node in graph.nodes for name in node.input}
    return {name: array for name, array in graph.weights.items() if name in read}
