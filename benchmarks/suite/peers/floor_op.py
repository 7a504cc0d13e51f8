"""The other floor: an ONNX graph of one recurrent operator, its input already time-major."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from suite.peers.base import Bind, CannotRun, Run
from suite.peers.sessions import open_session
from suite.subject import Array, Subject
from suite.workloads import GATES, Model

__all__ = ["FloorOp", "one_op_graph"]

_OPS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}


@dataclass(frozen=True)
class FloorOp:
    """onnxruntime's kernel alone."""

    name: str = "one-op graph"
    role: str = "floor"
    few: bool = False
    distributions: tuple[str, ...] = ()

    def prepare(self, subject: Subject) -> Bind:
        """Make the graph."""
        model = subject.model
        if model.kind not in _OPS or model.depth > 1 or not model.units:
            raise CannotRun("not one operator")
        session = open_session(one_op_graph(model), subject.threads)

        def bind(arrays: list[Array]) -> Run:
            feeds = {"x": np.ascontiguousarray(arrays[0].swapaxes(0, 1))}
            return lambda: session.run(None, feeds)

        return bind


def one_op_graph(model: Model) -> bytes:
    """LSTM, GRU or RNN with constant weights: x (T, B, F) to y (T, D, B, U)."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(2)
    ways = 2 if model.bidirectional else 1
    wide = GATES[model.kind] * model.units
    shapes: dict[str, tuple[int, ...]] = {
        "w": (ways, wide, model.features),
        "r": (ways, wide, model.units),
        "b": (ways, 2 * wide),
    }
    weights = [
        numpy_helper.from_array((0.1 * rng.standard_normal(shape)).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    keywords: dict[str, Any] = {"linear_before_reset": 1} if model.kind == "GRU" else {}
    node = helper.make_node(
        _OPS[model.kind],
        ["x", *shapes],
        ["y"],
        hidden_size=model.units,
        direction="bidirectional" if ways == 2 else "forward",
        **keywords,
    )
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["T", "B", model.features])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["T", ways, "B", model.units])
    graph = helper.make_graph([node], "one_op", [x], [y], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(made.SerializeToString())
