"""BlockLSTM nodes: the fused operator where it will do, else a Scan that gives all seven outputs.

Formula: tensorflow/core/kernels/rnn/lstm_ops.h. Node inputs: the number of steps to run,
x (T, B, F), c and h (B, U), weights (F+U, 4U), peepholes of i, f and o (U,), bias (4U,). Outputs
(T, B, U): i, c, f, o, the candidate, tanh of c, h; zero past the steps that run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from rnnport.graph.emit import Emitter, stand_in
from rnnport.graph.origins import is_zero
from rnnport.graph.skeleton import DOMAIN, OP, Spec
from rnnport.recurrent import Activation, CellSpec, FloatArray, RecurrentSpec

__all__ = ["NotConstant", "ScannedBlock", "expand_blocks"]

_H = 6


class NotConstant(Exception):
    """Weights that are no constants."""


@dataclass(frozen=True)
class ScannedBlock:
    """A node that became a Scan, and why."""

    name: str
    units: int
    reason: str


@dataclass(frozen=True, eq=False)
class _Block:
    """One node, read.

    Attributes:
        cell: weights in Keras's gate order.
        clip: bound of c; 0 where there is none.
        limit: steps to run, a scalar.
        x: (T, B, F)
        states: c and h.
    """

    cell: CellSpec
    clip: float
    limit: ir.Value
    x: ir.Value
    states: tuple[ir.Value, ir.Value]


def expand_blocks(model: ir.Model, specs: dict[str, Spec]) -> list[ScannedBlock]:
    """Replace every BlockLSTM node, in place.

    Args:
        model: a converted graph.
        specs: gains what a fused node stands for.

    Returns:
        Those that no fused operator computes.

    Raises:
        NotConstant: weights are computed in the graph.
    """
    nodes = [n for n in model.graph.all_nodes() if (n.domain, n.op_type) == (DOMAIN, "BlockLSTM")]
    scanned = []
    for number, node in enumerate(nodes):
        name = f"block_lstm_{number}" if number else "block_lstm"
        graph = node.graph
        assert isinstance(graph, ir.Graph)
        emit = Emitter(graph, before=node, weights=model.graph, prefix=f"{name}/")
        block = _read(node, name)
        read = [i for i, y in enumerate(node.outputs) if y.uses() or y.is_graph_output()]
        reason = _why_scanned(block, read)
        outputs = _scanned(emit, block) if reason else _fused(emit, block, specs, name)
        if reason:
            scanned.append(ScannedBlock(name, block.cell.units, reason))
        keep = _limit(emit, block)
        for index in read:
            stand_in(node.outputs[index], keep(outputs[index]))
        graph.remove(node, safe=True)
    return scanned


def _why_scanned(block: _Block, read: list[int]) -> str:
    if block.clip:
        return "BlockLSTM clips its cell state"
    return "" if set(read) <= {_H} else "BlockLSTM gives more than its output"


def _read(node: ir.Node, name: str) -> _Block:
    limit, x, c, h, w, wci, wcf, wco, b = [v for v in node.inputs if v is not None]
    kernel, bias = _array(w), _array(b)
    units = bias.size // 4
    order = (0, 2, 1, 3) if node.attributes["candidate"].as_int() == 1 else (0, 1, 2, 3)
    kernel, bias = _reordered(kernel, order), _reordered(bias, order)
    bias[units : 2 * units] += np.float32(node.attributes["forget_bias"].as_float())
    peeps = node.attributes["use_peephole"].as_int()
    cell = CellSpec(
        name=name,
        kind="LSTM",
        kernel=kernel[:-units],
        recurrent_kernel=kernel[-units:],
        bias=bias,
        recurrent_bias=np.zeros_like(bias),
        activation=Activation("Tanh"),
        recurrent_activation=Activation("Sigmoid"),
        peephole=np.concatenate([_array(p) for p in (wci, wcf, wco)]) if peeps else None,
    )
    clip = max(0.0, node.attributes["cell_clip"].as_float())
    return _Block(cell, clip, limit, x, (c, h))


def _array(value: ir.Value) -> FloatArray:
    constant = ir.convenience.get_const_tensor(value)
    if constant is None:
        raise NotConstant(str(value.name))
    return np.array(constant.numpy(), np.float32)


def _reordered(array: FloatArray, order: tuple[int, ...]) -> FloatArray:
    gates = np.split(array, 4, axis=-1)
    return np.concatenate([gates[i] for i in order], axis=-1)


def _limit(emit: Emitter, block: _Block) -> Callable[[ir.Value], ir.Value]:
    """Zeros past the steps that run."""
    steps = emit.op("Squeeze", emit.size(block.x, 0), emit.ints(0))
    numbers = emit.op("Range", emit.integer(0), steps, emit.integer(1))
    limit = emit.op("Cast", block.limit, to=ir.DataType.INT64.value)
    runs = emit.op("Unsqueeze", emit.op("Less", numbers, limit), emit.ints(1, 2))
    return lambda y: emit.op("Where", runs, y, emit.real(0.0))


def _fused(emit: Emitter, block: _Block, specs: dict[str, Spec], name: str) -> dict[int, ir.Value]:
    starts = [] if all(map(is_zero, block.states)) else [block.states[1], block.states[0]]
    specs[name] = RecurrentSpec(name, "BlockLSTM", (block.cell,), has_state=bool(starts))
    x = emit.op("Transpose", block.x, perm=[1, 0, 2])
    node = ir.node(OP, [x, *starts], {"token": name}, domain=DOMAIN, num_outputs=4)
    emit.add(node)
    return {_H: emit.op("Transpose", node.outputs[0], perm=[1, 0, 2])}


def _scanned(emit: Emitter, block: _Block) -> dict[int, ir.Value]:
    cell = block.cell
    product = emit.op("MatMul", block.x, emit.weight(f"{cell.name}_kernel", cell.kernel))
    projected = emit.op("Add", product, emit.weight(f"{cell.name}_bias", cell.bias))
    body = _body(emit, block)
    outputs = emit.nodes("Scan", [*block.states, projected], 9, body=body, num_scan_inputs=1)
    return dict(enumerate(outputs[2:]))


def _body(emit: Emitter, block: _Block) -> ir.Graph:
    cell, prefix = block.cell, f"{block.cell.name}_step/"
    float32 = ir.TensorType(ir.DataType.FLOAT)
    narrow, wide = (ir.Shape([f"{prefix}B", n * cell.units]) for n in (1, 4))
    c, h, x = (
        ir.Value(name=f"{prefix}{label}", type=float32, shape=shape)
        for label, shape in (("c", narrow), ("h", narrow), ("x", wide))
    )
    graph = ir.Graph([c, h, x], [], nodes=[], name=f"{prefix}body")
    inner = Emitter(graph, weights=emit.weights, prefix=prefix)
    seven = _step(inner, block, x, c, h)
    results = [inner.op("Identity", y) for y in (seven[1], seven[_H], *seven)]
    for value in results:
        value.type, value.shape = float32, narrow
    graph.outputs.extend(results)
    return graph


def _step(emit: Emitter, block: _Block, x: ir.Value, c: ir.Value, h: ir.Value) -> list[ir.Value]:
    cell = block.cell
    weights = emit.weight(f"{cell.name}_recurrent_kernel", cell.recurrent_kernel)
    gates = emit.op("Add", x, emit.op("MatMul", h, weights))
    zi, zf, zc, zo = emit.nodes("Split", [gates], 4, axis=-1, num_outputs=4)

    def gate(z: ir.Value, index: int, seen: ir.Value) -> ir.Value:
        if cell.peephole is not None:
            weights = emit.weight(
                f"{cell.name}_peephole_{index}", np.split(cell.peephole, 3)[index]
            )
            z = emit.op("Add", z, emit.op("Mul", seen, weights))
        return emit.op("Sigmoid", z)

    i, f, candidate = gate(zi, 0, c), gate(zf, 1, c), emit.op("Tanh", zc)
    c = emit.op("Add", emit.op("Mul", candidate, i), emit.op("Mul", c, f))
    if block.clip:
        c = emit.op("Clip", c, emit.real(-block.clip), emit.real(block.clip))
    o, squashed = gate(zo, 2, c), emit.op("Tanh", c)
    return [i, c, f, o, candidate, squashed, emit.op("Mul", squashed, o)]
