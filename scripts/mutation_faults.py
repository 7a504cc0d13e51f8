"""Twelve faults that converters of recurrent networks are known for, planted by graph edit.

Each takes one graph, changes it in place and says whether there was anything to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rnnport.spec import Form, LayerReport

__all__ = ["FAULTS", "Fault", "Where"]

RECURRENT = ("LSTM", "GRU")
GATES = {"LSTM": 4, "GRU": 3}


@dataclass(frozen=True)
class Where:
    """The graph a fault goes into, and what the manifest says of it."""

    graph: onnx.GraphProto
    form: Form
    layers: Sequence[LayerReport]


@dataclass(frozen=True)
class Fault:
    """A fault and who must notice.

    Attributes:
        name: what went wrong.
        plant: changes the graph; False where there is nothing to change.
        forms: the graphs it may stand in.
        caught: kinds of checks of which at least one must fail, by the form it is in.
        silent: kinds that must not fail, since they ask something else.
    """

    name: str
    plant: Callable[[Where], bool]
    forms: tuple[str, ...]
    caught: dict[str, tuple[str, ...]]
    silent: tuple[str, ...] = ()


# -- weights and attributes


def _cells(where: Where) -> list[onnx.NodeProto]:
    return [node for node in where.graph.node if node.op_type in RECURRENT]


def _weight(graph: onnx.GraphProto, name: str) -> onnx.TensorProto | None:
    return next((w for w in graph.initializer if w.name == name), None)


def _rewrite(where: Where, place: int, change: Callable[[str, np.ndarray], np.ndarray]) -> bool:
    """Change an input of the first recurrent operator whose weight that is."""
    changed = False
    for node in _cells(where)[:1]:
        name = node.input[place] if place < len(node.input) else ""
        weight = _weight(where.graph, name)
        if weight is None:
            continue
        before = numpy_helper.to_array(weight)
        after = change(node.op_type, before.copy())
        changed |= not np.array_equal(before, after)
        weight.CopyFrom(numpy_helper.from_array(after.astype(before.dtype), name))
    return changed


def swapped_gates(where: Where) -> bool:
    """The first two gates of W exchanged: i and o of an LSTM, z and r of a GRU."""

    def swap(op: str, w: np.ndarray) -> np.ndarray:
        gates = np.split(w, GATES[op], axis=1)
        return np.concatenate([gates[1], gates[0], *gates[2:]], axis=1)

    return _rewrite(where, 1, swap)


def forgotten_recurrent_bias(where: Where) -> bool:
    """The second half of B zeroed."""

    def forget(op: str, b: np.ndarray) -> np.ndarray:
        b[:, b.shape[1] // 2 :] = 0
        return b

    return _rewrite(where, 3, forget)


def float16_weights(where: Where) -> bool:
    """W and R rounded to float16 and back; holding weights, which would overflow, stay."""

    def round_(op: str, w: np.ndarray) -> np.ndarray:
        return np.where(np.abs(w) < 1e4, np.clip(w, -1e4, 1e4).astype(np.float16), w)

    return _rewrite(where, 1, round_) | _rewrite(where, 2, round_)


def reset_after_flipped(where: Where) -> bool:
    """linear_before_reset negated on every GRU."""
    found = False
    for node in where.graph.node:
        for attribute in node.attribute:
            if node.op_type == "GRU" and attribute.name == "linear_before_reset":
                attribute.i = 1 - attribute.i
                found = True
    return found


def hard_sigmoid_slope(where: Where) -> bool:
    """Keras 2's slope, 0.2, in place of Keras 3's, 1/6."""
    found = False
    for node in _cells(where):
        for attribute in node.attribute:
            if attribute.name == "activation_alpha":
                slopes = [0.2 if abs(a - 1 / 6) < 1e-6 else a for a in attribute.floats]
                found |= slopes != list(attribute.floats)
                del attribute.floats[:]
                attribute.floats.extend(slopes)
    return found


# -- values


def _producer(graph: onnx.GraphProto, value: str) -> int:
    return next(i for i, node in enumerate(graph.node) if value in node.output)


def _interpose(
    graph: onnx.GraphProto, value: str, nodes: Callable[[str], Iterable[onnx.NodeProto]]
) -> None:
    """Put nodes between a value and everyone who reads it; they are given its old self's name."""
    index = _producer(graph, value)
    sound = f"{value}/sound"
    node = graph.node[index]
    outputs = [sound if name == value else name for name in node.output]
    del node.output[:]
    node.output.extend(outputs)
    rest = list(graph.node)[index + 1 :]
    del graph.node[index + 1 :]
    graph.node.extend([*nodes(sound), *rest])


def _ints(graph: onnx.GraphProto, name: str, *numbers: int) -> str:
    name = f"fault/{name}"
    if _weight(graph, name) is None:
        graph.initializer.append(numpy_helper.from_array(np.array(numbers, np.int64), name))
    return name


def _slice(
    graph: onnx.GraphProto, source: str, out: str, axis: int, start: int, end: int, step: int = 1
) -> onnx.NodeProto:
    names = [
        _ints(graph, f"{word}_{number}", number)
        for word, number in (("at", start), ("to", end), ("axis", axis), ("by", step))
    ]
    return helper.make_node("Slice", [source, *names], [out])


_FAR = 2**40


def _outputs(where: Where) -> list[str]:
    """Outputs of the graph that hold a step each."""
    return [port.name for port in where.form.outputs if port.has_time]


def _layer_values(where: Where) -> list[str]:
    """What layers give at every step, batch first, where this graph has it under the same name."""
    made = {name for node in where.graph.node for name in node.output}
    return [layer.value for layer in where.layers if layer.value in made]


def _on_first(
    where: Where, values: Sequence[str], nodes: Callable[[str, str], Iterable[onnx.NodeProto]]
) -> bool:
    """Interpose nodes, made from the old and the new name, on the first value, if there is one."""
    if not values:
        return False
    first = values[0]
    _interpose(where.graph, first, lambda old: nodes(old, first))
    return True


def reversed_outputs(where: Where) -> bool:
    """A layer's outputs in the order in which a backward layer computes them."""
    return _on_first(
        where,
        _layer_values(where) or _outputs(where),
        lambda old, new: [_slice(where.graph, old, new, 1, -1, -_FAR, -1)],
    )


def batch_rows_shifted(where: Where) -> bool:
    """Every row gets its neighbour's output."""

    def shift(old: str, new: str) -> list[onnx.NodeProto]:
        rest, first = f"{new}/rest", f"{new}/first"
        return [
            _slice(where.graph, old, rest, 0, 1, _FAR),
            _slice(where.graph, old, first, 0, 0, 1),
            helper.make_node("Concat", [rest, first], [new], axis=0),
        ]

    return _on_first(where, _outputs(where), shift)


def dropped_last_step(where: Where) -> bool:
    """The last step's output is that of the step before."""

    def drop(old: str, new: str) -> list[onnx.NodeProto]:
        most, again = f"{new}/most", f"{new}/again"
        return [
            _slice(where.graph, old, most, 1, 0, -1),
            _slice(where.graph, most, again, 1, -1, _FAR),
            helper.make_node("Concat", [most, again], [new], axis=1),
        ]

    return _on_first(where, _outputs(where), drop)


# -- masks


def _mask(where: Where) -> str:
    """The (B, T) mask, True on valid steps, that the first masked layer reads; "" without one."""
    named = {layer.name for layer in where.layers}
    bools = {
        name: node.op_type
        for node in where.graph.node
        for name in node.output
        if node.op_type in ("Greater", "Not", "Equal", "NotEqual", "Or", "And")
    }
    for node in where.graph.node:
        owner = node.output[0].rpartition("/")[0]
        for name in node.input:
            if owner in named and name in bools and name.rpartition("/")[0] not in named:
                return name
    return ""


def mask_ignored(where: Where) -> bool:
    """Every step is taken for a valid one."""
    mask = _mask(where)
    if mask:

        def ignore(old: str) -> list[onnx.NodeProto]:
            no = f"{mask}/no"
            return [
                helper.make_node("Not", [old], [no]),
                helper.make_node("Or", [old, no], [mask]),
            ]

        _interpose(where.graph, mask, ignore)
    return bool(mask)


def zero_length_row_zeroed(where: Where) -> bool:
    """Rows without a valid step come out as zeros: outputs of a whole run, states of a chunk."""
    mask = _mask(where)
    ends = [state.output for state in where.form.states] or _outputs(where)
    if not mask:
        return False
    graph = where.graph
    for value in ends[:1]:
        rank = 3 if not where.form.states else 2

        def zero(old: str, value: str = value, rank: int = rank) -> list[onnx.NodeProto]:
            number, kept, wide = f"{value}/number", f"{value}/kept", f"{value}/wide"
            axes = [_ints(graph, "axis_1", 1), _ints(graph, f"axes_{rank}", *range(1, rank))]
            return [
                helper.make_node("Cast", [mask], [number], to=onnx.TensorProto.FLOAT),
                helper.make_node("ReduceMax", [number, axes[0]], [kept], keepdims=0),
                helper.make_node("Unsqueeze", [kept, axes[1]], [wide]),
                helper.make_node("Mul", [old, wide], [value]),
            ]

        _interpose(graph, value, zero)
    return True


# -- states


def state_not_carried(where: Where) -> bool:
    """A state comes out as it went in."""
    given = {state.output: state.input for state in where.form.states}
    return _on_first(
        where, [*given], lambda old, new: [helper.make_node("Identity", [given[new]], [new])]
    )


def states_swapped_between_layers(where: Where) -> bool:
    """Two layers give each other's h."""
    alike = [s.output for s in where.form.states if s.output.endswith("_h_out")][:2]
    if len(alike) < 2:
        return False
    one, other = alike
    swap = {one: other, other: one}
    for node in where.graph.node:
        outputs = [swap.get(name, name) for name in node.output]
        del node.output[:]
        node.output.extend(outputs)
    return True


_ANY = ("model", "stream", "encoder", "decoder")
_SEEN = {
    "model": ("shapes",),
    "stream": ("streaming",),
    "encoder": ("hand-off",),
    "decoder": ("hand-off",),
}

FAULTS = (
    Fault("swapped gates", swapped_gates, _ANY, _SEEN),
    Fault("forgotten recurrent bias", forgotten_recurrent_bias, _ANY, _SEEN),
    Fault("reset_after flipped", reset_after_flipped, _ANY, _SEEN),
    Fault("hard_sigmoid slope", hard_sigmoid_slope, _ANY, _SEEN),
    Fault("mask ignored", mask_ignored, _ANY, {**_SEEN, "model": ("masks",)}, ("shapes",)),
    Fault(
        "zero-length row zeroed",
        zero_length_row_zeroed,
        ("model", "stream"),
        {**_SEEN, "model": ("masks",)},
        ("shapes",),
    ),
    Fault("reversed outputs", reversed_outputs, _ANY, _SEEN),
    Fault("state not carried", state_not_carried, ("stream", "decoder"), _SEEN),
    Fault(
        "states swapped between layers", states_swapped_between_layers, ("stream", "decoder"), _SEEN
    ),
    Fault("batch rows shifted", batch_rows_shifted, _ANY, {**_SEEN, "model": ("isolation",)}),
    Fault("float16 weights", float16_weights, _ANY, {**_SEEN, "model": ("accuracy",)}),
    Fault("a dropped last step", dropped_last_step, _ANY, _SEEN),
)
