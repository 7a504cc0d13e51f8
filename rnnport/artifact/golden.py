"""golden.npz: seeded inputs and TensorFlow's outputs, to check parity without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from rnnport.errors import ArtifactDamaged
from rnnport.npz import decode_npz, encode_npz

__all__ = ["GOLDEN_FILE", "GoldenCase", "read_golden", "write_golden"]

GOLDEN_FILE = "golden.npz"
_INDEX = "index"
_MAX_BYTES = 2 << 30


@dataclass(frozen=True)
class GoldenCase:
    """One run of the Keras model.

    Attributes:
        name: what is special about it, e.g. "left-padded, B=4 T=11".
        inputs: port name to array, shapes and dtypes as the ports say.
        outputs: port name to array, as TensorFlow gave them.
    """

    name: str
    inputs: Mapping[str, NDArray[np.generic]]
    outputs: Mapping[str, NDArray[np.generic]]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One case in the index: port names in the order of its arrays."""

    name: str
    inputs: list[str]
    outputs: list[str]


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
    entries = [_Entry(case.name, [*case.inputs], [*case.outputs]) for case in cases]
    arrays: dict[str, NDArray[np.generic]] = {
        _INDEX: np.frombuffer(msgspec.json.encode(entries), np.uint8)
    }
    for number, case in enumerate(cases):
        arrays |= {_key(number, "in", i): a for i, a in enumerate(case.inputs.values())}
        arrays |= {_key(number, "out", i): a for i, a in enumerate(case.outputs.values())}
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


def _case(entry: _Entry, number: int, arrays: dict[str, NDArray[np.generic]]) -> GoldenCase:
    """Take the arrays of one case out of the pile."""
    return GoldenCase(
        entry.name,
        {name: arrays.pop(_key(number, "in", i)) for i, name in enumerate(entry.inputs)},
        {name: arrays.pop(_key(number, "out", i)) for i, name in enumerate(entry.outputs)},
    )


def _key(number: int, side: str, position: int) -> str:
    return f"case{number}_{side}{position}"


def _damaged(path: Path, received: str) -> ArtifactDamaged:
    return ArtifactDamaged.of(
        f"golden samples {path}",
        received,
        "the npz file that rnnport.export wrote",
        "copy the artifact again, or export the model again",
    )
