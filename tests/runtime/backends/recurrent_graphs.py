"""One recurrent operator as a model, with everything it can be given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FEATURES, UNITS = 3, 4


def recurrent_model(
    kind: str,
    *,
    lengths: bool = False,
    initial: bool = False,
    peepholes: bool = False,
    layout: int = 0,
    seed: int = 0,
    **attributes: Any,
) -> onnx.ModelProto:
    """x (T, B, 3), with lens (B,) and h, c (D, B, 4) where asked for, to y and the final states."""
    ways = 2 if attributes.get("direction") == "bidirectional" else 1
    rng = np.random.default_rng(seed)
    gates = GATES[kind]
    states = ["h", "c"] if kind == "LSTM" else ["h"]
    shapes = {
        "W": (ways, gates * UNITS, FEATURES),
        "R": (ways, gates * UNITS, UNITS),
        "Bias": (ways, 2 * gates * UNITS),
    }
    if peepholes:
        shapes["P"] = (ways, 3 * UNITS)
    weights = [
        numpy_helper.from_array((0.6 * rng.standard_normal(s)).astype(np.float32), n)
        for n, s in shapes.items()
    ]
    swapped = ["B", "T"] if layout else ["T", "B"]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [*swapped, FEATURES])]
    names = ["x", "W", "R", "Bias", "lens" if lengths else ""]
    if lengths:
        inputs.append(helper.make_tensor_value_info("lens", TensorProto.INT32, ["B"]))
    state = ["B", ways, UNITS] if layout else [ways, "B", UNITS]
    for name in states:
        names.append(name if initial else "")
        if initial:
            inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, state))
    if peepholes:
        names.append("P")
    outputs = ["y", *(f"{name}_out" for name in states)]
    node = helper.make_node(kind, names, outputs, hidden_size=UNITS, layout=layout, **attributes)
    if not layout:
        del node.attribute[[a.name for a in node.attribute].index("layout")]
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
    graph = helper.make_graph([node], "recurrent", inputs, infos, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def recurrent_feeds(
    model: onnx.ModelProto, *, batch: int = 5, time: int = 6, least: int = 0, seed: int = 1
) -> dict[str, np.ndarray]:
    """Random inputs; the first row has `least` steps, the last all of them."""
    rng = np.random.default_rng(seed)
    sizes = {"B": batch, "T": time}
    feeds = {}
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        shape = [sizes.get(d.dim_param, d.dim_value) for d in dims]
        if value.name == "lens":
            lens = rng.integers(least, time + 1, batch).astype(np.int32)
            lens[0], lens[-1] = least, time
            feeds["lens"] = lens
        else:
            feeds[value.name] = rng.standard_normal(shape).astype(np.float32)
    return feeds


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path
