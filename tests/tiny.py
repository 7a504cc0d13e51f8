"""Small artifacts for tests, made with onnx alone: no TensorFlow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from rnnport.artifact.golden import GOLDEN_FILE, GoldenCase, write_golden
from rnnport.artifact.load import Artifact
from rnnport.artifact.manifest import record
from rnnport.artifact.save import staging
from rnnport.samples import draw
from rnnport.spec import (
    Check,
    FixedAxis,
    Form,
    LayerReport,
    Manifest,
    Port,
    Sampling,
    Streamable,
    Structure,
)

FEATURES, UNITS = 3, 4
X = Port(name="x", dtype="float32", shape=["B", "T", FEATURES], sampling=Sampling(mask_value=0.0))
Y = Port(name="y", dtype="float32", shape=["B", "T", UNITS])
LEFT = Port(name="left", dtype="float32", shape=["B", "T", 2], sampling=Sampling())
IDS = Port(name="ids", dtype="int64", shape=["B", "T"], sampling=Sampling(kind="ids", high=7))
SUM = Port(name="sum/out:0", dtype="float32", shape=["B", "T", 2])
TWICE = Port(name="twice", dtype="int64", shape=["B", "T"])


def leaf(name: str) -> Structure:
    return Structure(kind="leaf", name=name)


def lstm_model(scale: float = 1.0, *, lengths: bool = False) -> onnx.ModelProto:
    """x (B, T, 3) to y (B, T, 4), through one LSTM op; with lengths, all of them are T."""
    rng = np.random.default_rng(5)
    weights = {
        "W": scale * rng.standard_normal((1, 4 * UNITS, FEATURES)).astype(np.float32),
        "R": scale * rng.standard_normal((1, 4 * UNITS, UNITS)).astype(np.float32),
        "axis": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["xt"], perm=[1, 0, 2]),
        helper.make_node(
            "LSTM", ["xt", "W", "R", *["", "lens"] * lengths], ["yt"], hidden_size=UNITS
        ),
        helper.make_node("Squeeze", ["yt", "axis"], ["ys"]),
        helper.make_node("Transpose", ["ys"], ["y"], perm=[1, 0, 2]),
    ]
    if lengths:
        weights["batch"], weights["steps"] = np.array([0], np.int64), np.array([1], np.int64)
        nodes[1:1] = [
            helper.make_node("Shape", ["x"], ["sizes"]),
            helper.make_node("Gather", ["sizes", "batch"], ["b"]),
            helper.make_node("Gather", ["sizes", "steps"], ["t"]),
            helper.make_node("Expand", ["t", "b"], ["wide"]),
            helper.make_node("Cast", ["wide"], ["lens"], to=TensorProto.INT32),
        ]
    return make_model(nodes, [X], [Y], weights)


def pair_model() -> onnx.ModelProto:
    """left (B, T, 2) and ids (B, T) to their sum (B, T, 2) and ids doubled (B, T)."""
    nodes = [
        helper.make_node("Cast", ["ids"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["f", "axis"], ["u"]),
        helper.make_node("Add", ["left", "u"], [SUM.name]),
        helper.make_node("Add", ["ids", "ids"], ["twice"]),
    ]
    return make_model(nodes, [LEFT, IDS], [SUM, TWICE], {"axis": np.array([2], np.int64)})


def lstm_artifact(
    out: Path,
    *,
    name: str = "tiny",
    scale: float = 1.0,
    overwrite: bool = False,
    drift: float = 0.0,
    lengths: bool = False,
    fixed_axes: list[FixedAxis] | None = None,
) -> Artifact:
    """An artifact of lstm_model; drift is added to every golden output."""
    with staging(out, overwrite=overwrite) as draft:
        model = lstm_model(scale, lengths=lengths)
        onnx.save(model, draft.folder / "model.onnx")
        cases = golden_cases(model, [X], drift)
        write_golden(draft.folder / GOLDEN_FILE, cases)
        layers = [
            LayerReport(name="lstm", kind="LSTM", units=[UNITS], lowering="LSTM"),
            LayerReport(
                name="decoder/gru_1",
                kind="GRU",
                units=[8, 8],
                lowering="tf2onnx",
                reason="activation gelu has no ONNX name",
            ),
        ]
        return draft.commit(
            Manifest(
                name=name,
                versions={"rnnport": "0.1.0", "onnx": onnx.__version__},
                source={"kind": "keras file", "framework": "keras 3.15.1"},
                target="portable",
                opset=18,
                forms={"model": form(draft.folder, [X], [Y])},
                input_structure=leaf("x"),
                output_structure=leaf("y"),
                golden=record(draft.folder / GOLDEN_FILE),
                layers=layers,
                fixed_axes=fixed_axes or [],
                streamable=Streamable(ok=False, reason="it reads backwards", layer="lstm"),
                notes=["made for a test"],
                parity=[
                    Check(name="golden 1", output="y", error=2e-7, bound=1e-5, passed=True),
                ],
            )
        )


def pair_artifact(out: Path) -> Artifact:
    """An artifact of pair_model, with dicts on both sides."""
    with staging(out) as draft:
        model = pair_model()
        onnx.save(model, draft.folder / "model.onnx")
        write_golden(draft.folder / GOLDEN_FILE, golden_cases(model, [LEFT, IDS]))
        return draft.commit(
            Manifest(
                name="pair",
                versions={},
                source={},
                target="portable",
                opset=18,
                forms={"model": form(draft.folder, [LEFT, IDS], [SUM, TWICE])},
                input_structure=Structure(
                    kind="dict", keys=["video", "words"], items=[leaf("left"), leaf("ids")]
                ),
                output_structure=Structure(
                    kind="dict", keys=["sum", "twice"], items=[leaf(SUM.name), leaf("twice")]
                ),
                golden=record(draft.folder / GOLDEN_FILE),
                streamable=Streamable(ok=False, reason="nothing recurs"),
            )
        )


def golden_cases(model: onnx.ModelProto, ports: list[Port], drift: float = 0.0) -> list[GoldenCase]:
    """onnxruntime's outputs stand in for TensorFlow's."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    cases = []
    for seed, (batch, time) in enumerate([(4, 11), (2, 5)]):
        inputs = draw(ports, {"B": batch, "T": time}, seed=seed)
        outputs = session.run(names, inputs)
        moved = [o + np.asarray(drift, o.dtype) for o in outputs]
        cases.append(
            GoldenCase(f"B={batch} T={time}", inputs, dict(zip(names, moved, strict=True)))
        )
    return cases


def form(folder: Path, inputs: list[Port], outputs: list[Port]) -> Form:
    path = folder / "model.onnx"
    return Form(record=record(path), inputs=inputs, outputs=outputs, op_counts=count_nodes(path))


def count_nodes(path: Path) -> dict[str, int]:
    """Nodes of a file by operator."""
    model = onnx.load(path, load_external_data=False)
    return dict(Counter(n.op_type for g in _graphs(model.graph) for n in g.node))


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def make_model(
    nodes: list[onnx.NodeProto],
    inputs: list[Port],
    outputs: list[Port],
    weights: dict[str, np.ndarray],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [_value(port) for port in inputs],
        [_value(port) for port in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def _value(port: Port) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype))
    return helper.make_tensor_value_info(port.name, kind, port.shape)
