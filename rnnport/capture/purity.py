"""Refuses cells that do more at inference than compute: random numbers, writes, Python counters.

One traced step stands for all of them, so every step must be the same function.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from rnnport.errors import Reason, UnsupportedModel

__all__ = ["watching_purity"]

_WRITES = (
    "Assign", "ResourceScatter", "ResourceApply",
    "ScatterUpdate", "ScatterAdd", "ScatterSub", "ScatterNdUpdate", "ScatterNdAdd",
)  # fmt: skip
_REMEDY = "compute the same in every step, or move it out of the cell"


@contextmanager
def watching_purity(cell: Any, name: str) -> Iterator[None]:
    """Watch one traced step of a cell.

    Args:
        cell: the cell.
        name: its layer's name.

    Raises:
        UnsupportedModel: on leaving; lists everything seen. What the cell counted is put back.
    """
    graph = tf.compat.v1.get_default_graph()
    start = len(graph.get_operations())
    before = _countables(cell)
    yield
    subject = f"cell {type(cell).__name__!r} of layer {name!r}"
    kinds = sorted({op.type for op in graph.get_operations()[start:]})
    reasons = []
    drawn = [kind for kind in kinds if "Random" in kind or kind == "Multinomial"]
    if drawn:
        received = f"random numbers at inference ({', '.join(drawn)})"
        reasons.append(Reason(subject, received, "a step that inputs and states decide", _REMEDY))
    written = [kind for kind in kinds if kind.startswith(_WRITES)]
    if written:
        received = f"variables written at inference ({', '.join(written)})"
        remedy = "return what changes as one more state"
        reasons.append(Reason(subject, received, "a step without side effects", remedy))
    if changed := list(_changed(before, _countables(cell))):
        _put_back(changed, before)
        received = f"Python attributes changed by one step: {', '.join(n for _, n in changed)}"
        remedy = "carry what changes as one more state"
        reasons.append(Reason(subject, received, "a step without side effects", remedy))
    if reasons:
        raise UnsupportedModel(*reasons)


_Place = tuple[int, str]


def _countables(cell: Any) -> dict[_Place, tuple[Any, float | int | str]]:
    """Numbers, and sizes of containers, that stand in the attributes a user gave."""
    parts = [cell, *getattr(cell, "_flatten_layers", lambda **_: [])(include_self=False)]
    found: dict[_Place, tuple[Any, float | int | str]] = {}
    for part in parts:
        for key, value in vars(part).items():
            if key in _OWN:
                continue
            if key.startswith("_") and not isinstance(part, keras.layers.Layer):
                continue  # tf_keras counts calls in names of its own
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                found[id(part), key] = part, value
            elif isinstance(value, (list, dict, set)) and not key.startswith("_"):
                found[id(part), key] = part, f"{len(value)} entries"
    return found


_OWN = frozenset(vars(keras.layers.Layer()))
_Seen = dict[_Place, tuple[Any, float | int | str]]


def _changed(before: _Seen, after: _Seen) -> Iterator[_Place]:
    for place, (_, value) in before.items():
        if place in after and after[place][1] != value:
            yield place


def _put_back(places: list[_Place], before: _Seen) -> None:
    for place in places:
        part, value = before[place]
        if not isinstance(value, str):
            setattr(part, place[1], value)
