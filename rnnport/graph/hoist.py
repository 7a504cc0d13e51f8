"""Finds what a cell computes from its input alone, so that a loop need not compute it step by step.

Such work runs once over batch and time folded into one axis. That is right only for operators that
treat every row by itself, and known here only for those listed. Sizes are those of one step, the
batch left out; None where unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

__all__ = ["HEAVY", "hoistable", "sizes_of_early"]

Sizes = tuple[int | None, ...]
Shapes = Mapping[ir.Value, Sizes]
Rule = Callable[[ir.Node, list[Any]], list[Sizes] | None]

HEAVY = {"MatMul", "Gemm", "Conv", "Einsum"}
"""Worth the reshaping."""

# fmt: off
_SAME = (
    "Identity", "Cast", "Neg", "Abs", "Exp", "Log", "Sqrt", "Reciprocal", "Floor", "Ceil", "Erf",
    "Not", "Sign", "Sin", "Cos", "Relu", "Elu", "Selu", "LeakyRelu", "Celu", "Sigmoid",
    "HardSigmoid", "HardSwish", "Tanh", "Softplus", "Softsign", "ThresholdedRelu", "Gelu",
)
_BINARY = (
    "Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "And", "Or", "Equal", "Less", "Greater",
    "LessOrEqual", "GreaterOrEqual",
)
# fmt: on


def hoistable(body: ir.Graph, steps: Mapping[ir.Value, Sizes]) -> list[ir.Node]:
    """Nodes that may run over all steps at once, in order; none where that gains nothing.

    Args:
        body: of one step.
        steps: its inputs that come from a sequence, and their sizes.
    """
    found, _ = _early(body, steps)
    return found if any(node.op_type in HEAVY for node in found) else []


def sizes_of_early(body: ir.Graph, steps: Mapping[ir.Value, Sizes]) -> Shapes:
    """Every value that the inputs alone decide, and its sizes; arguments as of `hoistable`."""
    return _early(body, steps)[1]


def _early(body: ir.Graph, steps: Mapping[ir.Value, Sizes]) -> tuple[list[ir.Node], Shapes]:
    shapes: dict[ir.Value, Sizes] = dict(steps)
    found = []
    for node in body:
        sizes = _sizes(node, shapes)
        # What gives an output stays, so that there is always something to give it.
        if sizes is not None and not any(v.is_graph_output() for v in node.outputs):
            shapes.update(zip(node.outputs, sizes, strict=True))
            found.append(node)
    return found, shapes


def _sizes(node: ir.Node, shapes: Shapes) -> list[Sizes] | None:
    """Sizes of the outputs, or None where the node must stay."""
    rule = _RULES.get(node.op_type)
    if rule is None or node.domain:
        return None
    given: list[Any] = []
    for value in node.inputs:
        if value is None:
            given.append(None)
        elif value in shapes:
            given.append(shapes[value])
        else:
            constant = ir.convenience.get_const_tensor(value)
            if constant is None:
                return None
            given.append(constant.numpy())
    return rule(node, given) if any(isinstance(g, tuple) for g in given) else None


def _same(node: ir.Node, given: list[Any]) -> list[Sizes] | None:
    return [given[0]]


def _broadcast(node: ir.Node, given: list[Any]) -> list[Sizes] | None:
    rank = max(len(g) for g in given if isinstance(g, tuple))
    result: Sizes = (1,) * rank
    for one in given:
        if isinstance(one, tuple):
            if len(one) != rank:  # its batch would meet another axis
                return None
            sizes: Sizes = one
        else:
            own = one.shape
            if len(own) > rank and own[: len(own) - rank] != (1,):
                return None
            sizes = (1,) * (rank - len(own)) + tuple(own[-rank:] if rank else ())
        result = tuple(_wider(a, b) for a, b in zip(result, sizes, strict=True))
    return [result]


def _wider(a: int | None, b: int | None) -> int | None:
    if a == 1:
        return b
    return a if b in (1, a) else None


def _matmul(node: ir.Node, given: list[Any]) -> list[Sizes] | None:
    x, weight = given
    if not isinstance(x, tuple) or isinstance(weight, tuple) or weight.ndim != 2 or not x:
        return None
    return [(*x[:-1], int(weight.shape[1]))]


def _gemm(node: ir.Node, given: list[Any]) -> list[Sizes] | None:
    x, weight, *bias = given
    plain = isinstance(x, tuple) and len(x) == 1 and not isinstance(weight, tuple)
    if not plain or _int(node, "transA", 0) or any(isinstance(b, tuple) for b in bias):
        return None
    if any(b is not None and b.ndim == 2 and b.shape[0] != 1 for b in bias):
        return None
    return [(int(weight.shape[0 if _int(node, "transB", 0) else 1]),)]


def _conv(node: ir.Node, given: list[Any]) -> list[Sizes] | None:
    x, weight, *bias = given
    constant = not isinstance(weight, tuple) and not any(isinstance(b, tuple) for b in bias)
    if not isinstance(x, tuple) or not constant:
        return None
    return [(int(weight.shape[0]), *(None for _ in x[1:]))]


def _einsum(node: ir.Node, given: list[Any]) -> list[Sizes] | None:
    """One operand of the sequence, its batch kept in front and met by nothing else."""
    equation = node.attributes["equation"].as_string().replace(" ", "")
    if "->" not in equation or "." in equation:
        return None
    left, result = equation.split("->")
    sizes: dict[str, int | None] = {}
    batches = []
    for labels, one in zip(left.split(","), given, strict=True):
        if isinstance(one, tuple):
            batches.append(labels[0])
            sizes |= dict(zip(labels[1:], one, strict=True))
        else:
            sizes |= dict(zip(labels, one.shape, strict=True))
    if len(batches) != 1 or batches[0] in sizes or not result.startswith(batches[0]):
        return None
    return [tuple(sizes[label] for label in result[1:])]


def _transpose(node: ir.Node, given: list[Any]) -> list[Sizes] | None:
    perm = list(node.attributes["perm"].as_ints()) if "perm" in node.attributes else [-1]
    if perm[0] != 0:
        return None
    return [tuple(given[0][p - 1] for p in perm[1:])]


def _reshape(node: ir.Node, given: list[Any]) -> list[Sizes] | None:
    x, wanted = given
    if not isinstance(x, tuple) or isinstance(wanted, tuple):
        return None
    first, *rest = (int(n) for n in wanted)
    known = [n for n in x if n is not None]
    if first not in (-1, 0) or len(known) != len(x) or any(n <= 0 for n in rest):
        return None
    return [tuple(rest)] if np.prod(known, dtype=int) == np.prod(rest, dtype=int) else None


def _unsqueeze(node: ir.Node, given: list[Any]) -> list[Sizes] | None:
    x, axes = given
    if not isinstance(x, tuple) or isinstance(axes, tuple):
        return None
    rank = len(x) + 1 + axes.size
    places = {int(a) % rank for a in axes.ravel()}
    if 0 in places:
        return None
    sizes = iter(x)
    return [tuple(1 if i in places else next(sizes) for i in range(1, rank))]


def _squeeze(node: ir.Node, given: list[Any]) -> list[Sizes] | None:
    x, *axes = given
    if not isinstance(x, tuple) or len(axes) != 1 or isinstance(axes[0], tuple):
        return None
    places = {int(a) % (len(x) + 1) for a in axes[0].ravel()}
    return None if 0 in places else [tuple(n for i, n in enumerate(x, 1) if i not in places)]


def _concat(node: ir.Node, given: list[Any]) -> list[Sizes] | None:
    if not all(isinstance(g, tuple) for g in given):
        return None
    axis = _int(node, "axis", 0) % (len(given[0]) + 1)
    parts = [g[axis - 1] for g in given]
    total = None if None in parts else sum(parts)
    return [_with(given[0], axis, total)] if axis else None


def _split(node: ir.Node, given: list[Any]) -> list[Sizes] | None:
    x, *sizes = given
    axis = _int(node, "axis", 0) % (len(x) + 1) if isinstance(x, tuple) else 0
    if not axis:
        return None
    whole, count = x[axis - 1], len(node.outputs)
    if sizes and sizes[0] is not None:
        parts: list[int | None] = [int(n) for n in sizes[0]]
    else:
        even = whole is not None and whole % count == 0
        parts = [whole // count if even and whole else None] * count
    return [_with(x, axis, part) for part in parts]


_END = 2**31 - 1


def _slice(node: ir.Node, given: list[Any]) -> list[Sizes] | None:
    """Not along the batch, unless that is taken whole, as TensorFlow's slices spell it."""
    x, *arguments = given
    if not isinstance(x, tuple) or len(arguments) < 3 or arguments[2] is None:
        return None
    if any(isinstance(a, tuple) for a in arguments):
        return None
    starts, ends, axes, *steps = ([int(n) for n in a.ravel()] for a in arguments if a is not None)
    strides = steps[0] if steps else [1] * len(axes)
    sizes: Sizes = x
    for start, end, axis, stride in zip(starts, ends, axes, strides, strict=True):
        axis %= len(x) + 1
        if axis == 0:
            if (start, stride) != (0, 1) or end < _END:
                return None
            continue
        whole = x[axis - 1]
        cut = None if whole is None else len(range(whole)[slice(start, end, stride)])
        sizes = _with(sizes, axis, cut if stride > 0 else None)
    return [sizes]


def _gather(node: ir.Node, given: list[Any]) -> list[Sizes] | None:
    table, index = given
    if isinstance(table, tuple) or not isinstance(index, tuple) or _int(node, "axis", 0):
        return None
    return [(*index, *(int(n) for n in table.shape[1:]))]


def _with(sizes: Sizes, axis: int, size: int | None) -> Sizes:
    """Another size at an axis, counted with the batch."""
    return (*sizes[: axis - 1], size, *sizes[axis:])


def _int(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


_RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(_BINARY, _broadcast),
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    "Einsum": _einsum,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
}
