"""Inner values of a graph: the same file with more outputs, run on any backend.

Protobuf merges a message that stands twice in a file, so outputs are added by appending a second
GraphProto that holds nothing else (Protocol Buffers, "Last One Wins": embedded messages merge,
repeated fields join). No onnx is needed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rnnport.runtime.session import open_session

__all__ = ["run_layers", "with_outputs"]

Arrays = Mapping[str, NDArray[Any]]

# Field numbers in onnx.proto: ModelProto.graph, GraphProto.output, ValueInfoProto.name and .type.
_GRAPH, _OUTPUT, _NAME, _TYPE = 7, 12, 1, 2
# TypeProto.tensor_type.elem_type = FLOAT, of any shape.
_FLOAT = bytes([1 << 3 | 2, 2, 1 << 3, 1])


def run_layers(
    path: Path, values: Mapping[str, str], inputs: Arrays, provider: str = "cpu"
) -> dict[str, NDArray[Any]]:
    """What layers give inside a graph; without those that cannot be read.

    Args:
        path: the .onnx file, its weights inside.
        values: layer name to the name of the value that holds its output.
        inputs: input name to array.
        provider: a resolved provider.
    """
    if not values or path.with_name(path.name + ".data").exists():
        return {}
    with tempfile.TemporaryDirectory() as name:
        tapped = Path(name) / path.name
        tapped.write_bytes(with_outputs(path.read_bytes(), values.values()))
        try:
            found = open_session(tapped, provider).run(list(values.values()), dict(inputs))
        except Exception:  # runtimes raise what they like; the values are a help, not a proof
            return {}
    return dict(zip(values, found, strict=True))


def with_outputs(model: bytes, names: Iterable[str]) -> bytes:
    """A serialised ModelProto whose graph has these float32 values among its outputs."""
    outputs = b"".join(
        _field(_OUTPUT, _field(_NAME, name.encode()) + _field(_TYPE, _FLOAT)) for name in names
    )
    return model + _field(_GRAPH, outputs)


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
