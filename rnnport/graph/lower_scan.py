"""Scan with the input projection hoisted out of the loop.

For activations ONNX's operators lack, and for SimpleRNN on CPU, where it beats the operator.
Formulas: Keras LSTMCell, GRUCell, SimpleRNNCell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from rnnport.graph.activations import emit_activation
from rnnport.graph.call import Call, Lowered
from rnnport.graph.emit import Emitter
from rnnport.graph.lower_hold import finish_hold
from rnnport.recurrent import CellSpec

__all__ = ["emit_step", "lower_scan", "project", "scan_steps"]


def project(emit: Emitter, cell: CellSpec, x: ir.Value) -> ir.Value:
    """The input's share of every gate, all steps at once: (…, F) to (…, G·U)."""
    product = emit.op("MatMul", x, emit.weight(f"{cell.name}_kernel", cell.kernel))
    bias = cell.bias
    if cell.kind != "GRU" or not cell.reset_after:
        bias = bias + cell.recurrent_bias
    if not np.any(bias):
        return product
    return emit.op("Add", product, emit.weight(f"{cell.name}_bias", bias))


def emit_step(
    emit: Emitter, cell: CellSpec, projected: ir.Value, states: Sequence[ir.Value]
) -> list[ir.Value]:
    """New states (B, U) from the projected input (B, G·U) and the old states."""
    step = {"LSTM": _lstm, "GRU": _gru, "SimpleRNN": _simple}[cell.kind]
    return step(emit, cell, projected, list(states))


def _recurrent(emit: Emitter, cell: CellSpec, h: ir.Value) -> ir.Value:
    kernel = emit.weight(f"{cell.name}_recurrent_kernel", cell.recurrent_kernel)
    return emit.op("MatMul", h, kernel)


def _simple(
    emit: Emitter, cell: CellSpec, projected: ir.Value, states: list[ir.Value]
) -> list[ir.Value]:
    z = emit.op("Add", projected, _recurrent(emit, cell, states[0]))
    return [emit_activation(emit, cell.activation, z)]


def _lstm(
    emit: Emitter, cell: CellSpec, projected: ir.Value, states: list[ir.Value]
) -> list[ir.Value]:
    h, c = states
    z = emit.op("Add", projected, _recurrent(emit, cell, h))
    zi, zf, zc, zo = emit.nodes("Split", [z], 4, axis=-1, num_outputs=4)
    gate, act = cell.recurrent_activation, cell.activation
    zi, zf = _peeped(emit, cell, 0, zi, c), _peeped(emit, cell, 1, zf, c)
    kept = emit.op("Mul", emit_activation(emit, gate, zf), c)
    added = emit.op("Mul", emit_activation(emit, gate, zi), emit_activation(emit, act, zc))
    c = emit.op("Add", kept, added)
    zo = _peeped(emit, cell, 2, zo, c)
    h = emit.op("Mul", emit_activation(emit, gate, zo), emit_activation(emit, act, c))
    return [h, c]


def _peeped(emit: Emitter, cell: CellSpec, gate: int, z: ir.Value, c: ir.Value) -> ir.Value:
    """A gate with what its peephole sees of c; gates are i f o."""
    if cell.peephole is None:
        return z
    weights = np.split(cell.peephole, 3)[gate]
    seen = emit.op("Mul", c, emit.weight(f"{cell.name}_peephole_{'ifo'[gate]}", weights))
    return emit.op("Add", z, seen)


def _gru(
    emit: Emitter, cell: CellSpec, projected: ir.Value, states: list[ir.Value]
) -> list[ir.Value]:
    (h,) = states
    xz, xr, xh = emit.nodes("Split", [projected], 3, axis=-1, num_outputs=3)
    if cell.reset_after:
        inner = _recurrent(emit, cell, h)
        if np.any(cell.recurrent_bias):
            bias = emit.weight(f"{cell.name}_recurrent_bias", cell.recurrent_bias)
            inner = emit.op("Add", inner, bias)
        hz, hr, hh = emit.nodes("Split", [inner], 3, axis=-1, num_outputs=3)
    else:
        units = cell.units
        gates, candidate = np.split(cell.recurrent_kernel, [2 * units], axis=1)
        product = emit.op("MatMul", h, emit.weight(f"{cell.name}_recurrent_gates", gates))
        hz, hr = emit.nodes("Split", [product], 2, axis=-1, num_outputs=2)
    gate, act = cell.recurrent_activation, cell.activation
    z = emit_activation(emit, gate, emit.op("Add", xz, hz))
    r = emit_activation(emit, gate, emit.op("Add", xr, hr))
    if cell.reset_after:
        share = emit.op("Mul", r, hh)
    else:
        kernel = emit.weight(f"{cell.name}_recurrent_candidate", candidate)
        share = emit.op("MatMul", emit.op("Mul", r, h), kernel)
    hh = emit_activation(emit, act, emit.op("Add", xh, share))
    held = emit.op("Mul", z, h)
    fresh = emit.op("Mul", emit.op("Sub", emit.real(1.0), z), hh)
    return [emit.op("Add", held, fresh)]


def lower_scan(call: Call, reason: str) -> Lowered:
    """One Scan for each cell, time-major; masked steps keep the state by Where."""
    emit, spec = call.emit, call.spec
    backwards = spec.go_backwards
    y = emit.op("Transpose", call.x, perm=[1, 0, 2])
    mask = None
    if call.mask is not None:
        each = call.mask if spec.unit_mask else emit.op("Unsqueeze", call.mask, emit.ints(2))
        mask = emit.op("Transpose", each, perm=[1, 0, 2])  # (T, B, 1) or (T, B, U)
    batch = emit.size(call.x, 0)
    finals: list[ir.Value] = []
    for cell, given in zip(spec.cells, call.cell_states(), strict=True):
        states = list(given) or [emit.zeros(batch, cell.units) for _ in cell.states]
        *ends, y = scan_steps(emit, cell, y, mask, states, backwards=backwards)
        finals.extend(ends)
    final = finals[-len(spec.cells[-1].states)]
    outputs = emit.op("Transpose", y, perm=[1, 0, 2])
    if call.mask is not None:
        held = finish_hold(call, outputs, final, "Scan")
        return Lowered(held.outputs, held.last, finals, "Scan", reason)
    if backwards and not spec.input_order:
        outputs = emit.flip(outputs, 1)
    return Lowered(outputs, final, finals, "Scan", reason)


def scan_steps(
    emit: Emitter,
    cell: CellSpec,
    x: ir.Value,
    mask: ir.Value | None,
    states: list[ir.Value],
    *,
    backwards: bool = False,
) -> list[ir.Value]:
    """One cell over a sequence.

    Args:
        emit: where to write.
        cell: the cell.
        x: (T, B, F)
        mask: where it is False, states are held.  # (T, B, 1) or (T, B, U) bool
        states: initial states, (B, U) each.
        backwards: from the last step to the first.

    Returns:
        Final states (B, U) and outputs (T, B, U) in input order.
    """
    scanned = [project(emit, cell, x), *([] if mask is None else [mask])]
    body = _body(emit, cell, masked=mask is not None)
    direction = int(backwards)
    return emit.nodes(
        "Scan",
        [*states, *scanned],
        len(states) + 1,
        body=body,
        num_scan_inputs=len(scanned),
        scan_input_directions=[direction] * len(scanned),
        scan_output_directions=[direction],
    )


def _body(emit: Emitter, cell: CellSpec, *, masked: bool) -> ir.Graph:
    number = emit.weights.meta["rnnport_bodies"] = emit.weights.meta.get("rnnport_bodies", 0) + 1
    prefix = f"{cell.name}_step{number}/"
    float32 = ir.TensorType(ir.DataType.FLOAT)
    # A name of its own: inside TimeDistributed it is not the model's batch, and onnxruntime
    # reuses memory between values whose sizes have the same names.
    batch = f"{prefix}B"
    old = [
        ir.Value(name=f"{prefix}{s}", type=float32, shape=ir.Shape([batch, cell.units]))
        for s in cell.states
    ]
    width = cell.kernel.shape[1]
    projected = ir.Value(name=f"{prefix}x", type=float32, shape=ir.Shape([batch, width]))
    inputs = [*old, projected]
    valid = None
    if masked:
        valid = ir.Value(
            name=f"{prefix}valid",
            type=ir.TensorType(ir.DataType.BOOL),
            shape=ir.Shape([batch, f"{prefix}M"]),
        )
        inputs.append(valid)
    graph = ir.Graph(inputs, [], nodes=[], name=f"{prefix}body")
    inner = Emitter(graph, weights=emit.weights, prefix=prefix)
    new = emit_step(inner, cell, projected, old)
    if valid is not None:
        new = [inner.op("Where", valid, n, o) for n, o in zip(new, old, strict=True)]
    y = inner.op("Identity", new[0])
    for value in [*new, y]:
        value.type, value.shape = float32, ir.Shape([batch, cell.units])
    graph.outputs.extend([*new, y])
    return graph
