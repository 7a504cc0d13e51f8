"""Skeletons built by hand, lowered and run: no TensorFlow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort

from rnnport.graph.finish import count_ops
from rnnport.graph.lower import lower
from rnnport.graph.skeleton import DOMAIN, OP, Skeleton
from rnnport.parity.tolerance import TOLERANCES
from rnnport.recurrent import RecurrentSpec
from rnnport.spec import LayerReport
from tests.graph import numpy_cells

FLOAT, BOOL = ir.DataType.FLOAT, ir.DataType.BOOL
READS = ("outputs", "last", "finals")


@dataclass(frozen=True)
class Ready:
    """A lowered graph that runs."""

    reports: list[LayerReport]
    ops: Counter[str]
    proto: onnx.ModelProto
    session: ort.InferenceSession

    def run(self, **inputs: Any) -> list[np.ndarray[Any, Any]]:
        return list(self.session.run(None, inputs))


def value(name: str, shape: Sequence[int | str], dtype: ir.DataType = FLOAT) -> ir.Value:
    return ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(dtype))


def recurrent(
    specs: dict[str, RecurrentSpec], spec: RecurrentSpec, inputs: Sequence[ir.Value]
) -> ir.Node:
    """A `Recurrent` node; its spec goes into `specs`."""
    token = f"token{len(specs)}"
    specs[token] = spec
    count = spec.state_count + (0 if spec.step else 2)
    node = ir.node(OP, inputs, {"token": token}, domain=DOMAIN, num_outputs=count)
    names = ["outputs", "last"] * (not spec.step) + [f"final{i}" for i in range(spec.state_count)]
    units = [c.units for c in spec.cells for _ in c.states]
    width = spec.cells[-1].units
    shapes: list[list[int | str]] = [["B", u] for u in units]
    if not spec.step:
        shapes = [["B", "T", width], ["B", width], *shapes]
    for output, name, shape in zip(node.outputs, names, shapes, strict=True):
        output.name, output.shape = f"{token}_{name}", ir.Shape(shape)
        output.type = ir.TensorType(FLOAT)
    return node


def model(
    inputs: Sequence[ir.Value], nodes: Sequence[ir.Node], outputs: Sequence[ir.Value]
) -> ir.Model:
    graph = ir.Graph(
        inputs, outputs, nodes=nodes, opset_imports={"": 18, DOMAIN: 1}, name="by_hand"
    )
    return ir.Model(graph, ir_version=10)


def ready(skeleton: Skeleton, target: str = "portable") -> Ready:
    """Lower and load."""
    reports = lower(skeleton, target)
    proto = ir.to_proto(skeleton.model)
    onnx.checker.check_model(proto)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return Ready(reports, Counter(count_ops(skeleton.model)), proto, session)


def one_layer(spec: RecurrentSpec, target: str = "portable", reads: Sequence[str] = READS) -> Ready:
    """A graph of one recurrent call: x, s0…, mask in; what `reads` names out."""
    specs: dict[str, RecurrentSpec] = {}
    inputs = [value("x", ["B", "T", spec.cells[0].features])]
    units = [c.units for c in spec.cells for _ in c.states]
    if spec.has_state:
        inputs += [value(f"s{i}", ["B", u]) for i, u in enumerate(units)]
    if spec.has_mask:
        inputs.append(value("mask", ["B", "T"], BOOL))
    node = recurrent(specs, spec, inputs)
    outputs, last, *finals = node.outputs
    read = {"outputs": [outputs], "last": [last], "finals": finals}
    return ready(
        Skeleton(model(inputs, [node], [v for r in reads for v in read[r]]), specs), target
    )


def draw(
    spec: RecurrentSpec, batch: int, time: int, seed: int = 0, mask: Any = None
) -> dict[str, Any]:
    """Inputs of one_layer."""
    rng = np.random.default_rng(seed)
    units = [c.units for c in spec.cells for _ in c.states]

    def normal(*shape: int) -> Any:
        return rng.standard_normal(shape).astype(np.float32)

    given = {"x": normal(batch, time, spec.cells[0].features)}
    if spec.has_state:
        given |= {f"s{i}": normal(batch, u) for i, u in enumerate(units)}
    if spec.has_mask:
        given["mask"] = rng.random((batch, time)) < 0.6 if mask is None else mask
    return given


def assert_like_numpy(spec: RecurrentSpec, ready: Ready, inputs: dict[str, Any]) -> None:
    """All outputs of one_layer equal the plain NumPy layer."""
    states = [v for k, v in inputs.items() if k.startswith("s")]
    outputs, last, finals = numpy_cells.run(spec, inputs["x"], states, inputs.get("mask"))
    close([outputs, last, *finals], ready.run(**inputs))


def close(expected: Sequence[Any], received: Sequence[Any]) -> None:
    assert len(expected) == len(received)
    for e, r in zip(expected, received, strict=True):
        assert (r.dtype, r.shape) == (np.float32, e.shape)
        assert np.isfinite(e).all()
        assert np.abs(e - r).max() <= TOLERANCES["cpu"] * max(1.0, np.abs(e).max())
