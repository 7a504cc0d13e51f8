"""golden.npz: seeded inputs and TensorFlow's outputs, to check parity without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from rnnport.errors import ArtifactDamaged
from rnnport.npz import decode_npz, encode_npz

__all__ = [
    "GOLDEN_FILE",
    "PROVEN_GRAPH",
    "TENSORFLOW",
    "THE_GRAPH",
    "GoldenCase",
    "read_golden",
    "write_golden",
]

GOLDEN_FILE = "golden.npz"
TENSORFLOW = "TensorFlow in float64"
THE_GRAPH = "the graph in float64, on the reference evaluator"
PROVEN_GRAPH = "the graph in float64, where it equals TensorFlow in float64"
"""Sources of truth."""

Arrays = Mapping[str, NDArray[np.generic]]

_INDEX = "index"
_MAX_BYTES = 2 << 30


@dataclass(frozen=True, eq=False)
class GoldenCase:
    """One run of the Keras model.

    Attributes:
        name: what is special about it, e.g. "left-padded, B=4 T=11".
        inputs: port name to array, shapes and dtypes as the ports say.
        outputs: port name to array, as TensorFlow gave them.
        kind: the question it answers, one of CHECK_KINDS.
        truth: port name to the same in float64; empty where nobody knows.
        source: where truth comes from, e.g. "TensorFlow in float64".
        layers: layer name to what model.onnx gave there when it was proven, float32.
        moves: outputs that rounding alone moves by more than the tolerance on these inputs, and by
            how much, over max(1, the largest magnitude).
    """

    name: str
    inputs: Arrays
    outputs: Arrays
    kind: str = "shapes"
    truth: Arrays = field(default_factory=dict)
    source: str = ""
    layers: Arrays = field(default_factory=dict)
    moves: Mapping[str, float] = field(default_factory=dict)


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One case in the index: port names in the order of its arrays."""

    name: str
    inputs: list[str]
    outputs: list[str]
    kind: str = "shapes"
    truth: list[str] = []
    source: str = ""
    layers: list[str] = []
    moves: dict[str, float] = {}


_SIDES = (("in", "inputs"), ("out", "outputs"), ("truth", "truth"), ("layer", "layers"))
"""Of a key, and the field of GoldenCase and _Entry it belongs to."""


def write_golden(path: Path, cases: Sequence[GoldenCase]) -> None:
    """Write cases; port names go to an index, since they need not be file names.

    Args:
        path: usually the draft's folder / GOLDEN_FILE.
        cases: at least one.

    Raises:
        ValueError: no cases, or an array of Python objects.
        OSError: the file system refused.
    """
    if not cases:
        raise ValueError("golden.npz needs at least one case")
    entries = [_entry(case) for case in cases]
    arrays: dict[str, NDArray[np.generic]] = {
        _INDEX: np.frombuffer(msgspec.json.encode(entries), np.uint8)
    }
    for number, case in enumerate(cases):
        for side, name in _SIDES:
            found: Arrays = getattr(case, name)
            arrays |= {_key(number, side, i): a for i, a in enumerate(found.values())}
    path.write_bytes(encode_npz(arrays))


def read_golden(path: Path) -> list[GoldenCase]:
    """Read the cases back, strictly: nothing missing, nothing left over, no pickle.

    Raises:
        ArtifactDamaged: the file is not what write_golden writes.
    """
    try:
        arrays = decode_npz(path, max_bytes=_MAX_BYTES)
        entries = msgspec.json.decode(arrays.pop(_INDEX).tobytes(), type=list[_Entry])
        cases = [_case(entry, number, arrays) for number, entry in enumerate(entries)]
    except (OSError, ValueError, KeyError, msgspec.MsgspecError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    if arrays:
        raise _damaged(path, f"arrays the index does not know: {', '.join(sorted(arrays))}")
    return cases


def _entry(case: GoldenCase) -> _Entry:
    names = {name: [*getattr(case, name)] for _, name in _SIDES}
    return _Entry(case.name, kind=case.kind, source=case.source, moves=dict(case.moves), **names)


def _case(entry: _Entry, number: int, arrays: dict[str, NDArray[np.generic]]) -> GoldenCase:
    """Take the arrays of one case out of the pile."""
    found = {
        which: {
            name: arrays.pop(_key(number, side, i)) for i, name in enumerate(getattr(entry, which))
        }
        for side, which in _SIDES
    }
    return GoldenCase(entry.name, kind=entry.kind, source=entry.source, moves=entry.moves, **found)


def _key(number: int, side: str, position: int) -> str:
    return f"case{number}_{side}{position}"


def _damaged(path: Path, received: str) -> ArtifactDamaged:
    return ArtifactDamaged.of(
        f"golden samples {path}",
        received,
        "the npz file that rnnport.export wrote",
        "copy the artifact again, or export the model again",
    )
