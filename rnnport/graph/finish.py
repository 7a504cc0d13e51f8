"""Last touches on a lowered graph: output shapes, facts about itself, and the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes import common

from rnnport.spec import Port

__all__ = ["ONE_FILE_LIMIT", "count_ops", "describe", "infer_types", "write_onnx"]

# Above this, weights go into a file of their own: protobuf ends at 2 GB.
ONE_FILE_LIMIT = 1 << 30


def describe(
    model: ir.Model,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    facts: Mapping[str, str],
    version: str,
) -> None:
    """Write names, types and shapes of the ports, and the facts, into the graph.

    Args:
        model: lowered graph, changed in place.
        inputs: input ports in order.
        outputs: output ports in order.
        facts: goes into `metadata_props`.
        version: of rnnport.
    """
    for value, port in [
        *zip(model.graph.inputs, inputs, strict=True),
        *zip(model.graph.outputs, outputs, strict=True),
    ]:
        value.type = ir.TensorType(ir.DataType.from_numpy(np.dtype(port.dtype)))
        value.shape = ir.Shape(port.shape)
    model.producer_name, model.producer_version = "rnnport", version
    model.doc_string = None
    model.graph.doc_string = None
    model.metadata_props.clear()
    model.metadata_props.update(facts)


def count_ops(model: ir.Model) -> dict[str, int]:
    """Nodes by operator, subgraphs included, most frequent first."""
    counted = Counter(node.op_type for node in model.graph.all_nodes())
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def infer_types(model: ir.Model) -> None:
    """Find the types of values that nobody declared, graph outputs among them."""
    common.ShapeInferencePass()(model)


def write_onnx(model: ir.Model, path: Path) -> list[Path]:
    """Write and check the file; weights beside it where the whole would be too large.

    Args:
        model: the finished graph.
        path: e.g. folder / "model.onnx".

    Returns:
        The external data files written, if any.
    """
    weights = sum(
        value.const_value.nbytes
        for value in model.graph.initializers.values()
        if value.const_value is not None
    )
    if weights <= ONE_FILE_LIMIT:
        ir.save(model, path)
        onnx.checker.check_model(str(path))
        return []
    data = path.with_name(path.name + ".data")
    ir.save(model, path, external_data=data.name, size_threshold_bytes=1024)
    onnx.checker.check_model(str(path))
    return [data]
