"""Why a model cannot be streamed: the layer that looks ahead, or that keeps what nobody carries.

Used only after the stream form failed its proof, to name a layer; the proof is the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import tree
from numpy.typing import NDArray

from rnnport.capture.context import TraceContext
from rnnport.capture.framework import framework_of, frameworks
from rnnport.capture.intercept import Patch
from rnnport.capture.quiet import quiet
from rnnport.capture.reference import Reference
from rnnport.magnitude import magnitude

__all__ = ["Blame", "find_blame"]

Arrays = Mapping[str, NDArray[Any]]

# Far above rounding, far below what a step that was seen too early changes.
_DIFFERS = 1e-4
# Their past is carried, so leaving it out proves nothing.
_CARRIED = ("RNN", "Conv1D", "ZeroPadding1D", "GlobalAveragePooling1D", "GlobalMaxPooling1D")


@dataclass(frozen=True)
class Blame:
    """A layer and what it does.

    Attributes:
        layer: its name.
        reason: for people.
    """

    layer: str
    reason: str


@dataclass(frozen=True, eq=False)
class _Seen:
    layer: Any
    outputs: list[NDArray[Any]]
    late: list[NDArray[Any]]


def find_blame(
    reference: Reference, whole: Arrays, beginning: Arrays, time: int, end: int
) -> Blame | None:
    """Watch every layer while TensorFlow runs a sequence, and its beginning alone.

    Args:
        reference: the model in TensorFlow.
        whole: inputs by name, `time` steps long where they have a time axis.
        beginning: the same inputs, `end` steps long.
        time: T.
        end: fewer than T.

    Returns:
        The first layer (innermost of nested ones) that looks ahead; else the first that changes
        the number of steps; else the first that needs earlier steps. None where there is none, or
        the model does not run on the beginning alone.
    """
    before = _watched(reference, beginning, end, 0)
    after = _watched(reference, whole, time, end)
    calls: dict[str, list[_Seen]] = {}
    for call in before:
        calls.setdefault(call.layer.name, []).append(call)
    for call in after:
        same = calls.get(call.layer.name)  # a cell is called once a step: more often than before
        if same and any(map(_sees_later, same.pop(0).outputs, call.outputs)):
            return _blame(call, "looks ahead: its output at a step changes with later steps")
    return _shortening(before, after, time) or _remembering(after, end)


def _shortening(before: list[_Seen], after: list[_Seen], time: int) -> Blame | None:
    for one, other in zip(before, after, strict=False):
        if _is_a(other.layer, "ZeroPadding1D") or one.layer is not other.layer:
            continue
        for short, long in zip(one.outputs, other.outputs, strict=True):
            counts = short.ndim >= 2 and long.ndim >= 2
            if counts and short.shape[1] != long.shape[1] != time:
                return _blame(other, f"gives {long.shape[1]} steps for {time}")
    return None


def _remembering(after: list[_Seen], end: int) -> Blame | None:
    for call in after:
        pairs = zip(call.late, call.outputs, strict=False)
        if any(_differ(late, whole, end) for late, whole in pairs):
            return _blame(call, "needs earlier steps, which the stream form does not carry for it")
    return None


def _blame(call: _Seen, what: str) -> Blame:
    return Blame(call.layer.name, f"{type(call.layer).__name__} {what}")


def _watched(reference: Reference, inputs: Arrays, time: int, end: int) -> list[_Seen]:
    seen: list[_Seen] = []

    def watch(context: TraceContext, original: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = original(layer, *args, **kwargs)
        late: list[NDArray[Any]] = []
        if end and not _is_carried(layer):
            late = _late(lambda: original(layer, *_cut(args, time, end), **kwargs))
        seen.append(_Seen(layer, _arrays(outputs), late))
        return outputs

    with quiet():
        try:
            reference.eager(
                inputs, [Patch(f.layers.Layer, "__call__", watch) for f in frameworks()]
            )
        except Exception:  # too short for the model, say: then nobody can be named
            return []
    return seen


def _is_a(layer: Any, *names: str) -> bool:
    framework = framework_of(layer)
    owners = () if framework is None else tuple(getattr(framework.layers, n) for n in names)
    return isinstance(layer, owners)


def _is_carried(layer: Any) -> bool:
    framework = framework_of(layer)
    model = framework is not None and isinstance(layer, framework.module.Model)
    return model or _is_a(layer, *_CARRIED)


def _late(run: Callable[[], Any]) -> list[NDArray[Any]]:
    """What the layer gives for the later steps alone, where it runs on them."""
    try:
        return _arrays(run())
    except Exception:  # a layer of one length, say: then it is not the one to blame
        return []


def _cut(args: Any, time: int, end: int) -> Any:
    def later(x: Any) -> Any:
        shape = tuple(getattr(x, "shape", ()))
        return x[:, end:] if shape[1:2] == (time,) else x

    return tree.map_structure(later, args)


def _arrays(outputs: Any) -> list[NDArray[Any]]:
    return [np.asarray(y) for y in tree.flatten(outputs) if hasattr(y, "shape")]


def _sees_later(prefix: NDArray[Any], whole: NDArray[Any]) -> bool:
    """Whether outputs at the steps both have differ; outputs without a time axis say nothing."""
    if prefix.ndim < 2 or prefix.ndim != whole.ndim or prefix.shape[1] >= whole.shape[1]:
        return False
    return _unlike(prefix, whole[:, : prefix.shape[1]])


def _differ(late: NDArray[Any], whole: NDArray[Any], end: int) -> bool:
    if late.ndim < 2 or late.ndim != whole.ndim or late.shape[1] != whole.shape[1] - end:
        return False
    return _unlike(late, whole[:, end:])


def _unlike(received: NDArray[Any], expected: NDArray[Any]) -> bool:
    if received.dtype.kind != "f":
        return False
    if received.shape != expected.shape:
        return True
    scale = magnitude(expected)
    return not np.allclose(received, expected, rtol=0.0, atol=_DIFFERS * scale, equal_nan=True)
