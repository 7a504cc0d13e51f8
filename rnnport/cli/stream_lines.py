"""The lines `rnnport stream` reads and writes: one JSON object each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Protocol

import msgspec
import numpy as np

from rnnport.errors import InputError, RnnportError

__all__ = ["Line", "Name", "Source", "arrived", "read_line", "refusal", "result"]

_PIECE = 1 << 16
_EXAMPLE = 'e.g. {"id": "a", "x": [0.5, 1.0]}'

Name = str | Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""What a caller calls a stream; 1 and "1" are two."""


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a line asks for.

    Attributes:
        id: the stream; opened by its first line.
        x: one step (F…) or a chunk (T, F…), where the model has one input a step.
        inputs: the same by input name, where it has several.
        fixed: inputs given once, on the stream's first line or with reset.
        reset: start anew before the step.
        end: close the stream after the step.
    """

    id: Name
    x: Any = msgspec.UNSET
    inputs: dict[str, Any] | None = None
    fixed: dict[str, Any] | None = None
    reset: bool = False
    end: bool = False

    @property
    def has_x(self) -> bool:
        """Whether there is an x, null counted."""
        return self.x is not msgspec.UNSET

    @property
    def has_input(self) -> bool:
        """Whether the line brings a step or a chunk."""
        return self.has_x or self.inputs is not None

    @property
    def is_plain(self) -> bool:
        """Whether the line brings a step or a chunk and asks for nothing else."""
        return self.has_input and not (self.fixed is not None or self.reset or self.end)


class Source(Protocol):
    """A binary stream; read1 gives what is there, and waits only where that is nothing."""

    def read1(self, size: int, /) -> bytes:
        """Some bytes, at most `size`; none at the end."""


def arrived(read: Callable[[int], bytes]) -> Iterator[list[bytes]]:
    """Lines as they come in, always all that are complete; the last needs no newline.

    Args:
        read: gives some bytes, at most so many, and none at the end.
    """
    rest = b""
    while piece := read(_PIECE):
        *lines, rest = (rest + piece).split(b"\n")
        if lines:
            yield lines
    if rest:
        yield [rest]


def read_line(text: bytes) -> Line:
    """Parse a line, strictly; JSON knows neither NaN nor Infinity.

    Raises:
        InputError: no JSON, no id, or a key that means nothing.
    """
    try:
        return msgspec.json.decode(text, type=Line)
    except (msgspec.MsgspecError, RecursionError) as error:
        expected = 'a JSON object with "id", and "x", "inputs", "fixed", "reset" or "end"'
        raise InputError.of("line", error, expected, _EXAMPLE) from error


def result(line: Line, outputs: Any) -> bytes:
    """The line that answers a line.

    Args:
        line: what was asked; its reset and end are said back.
        outputs: nested as Keras gives them, without the batch axis; None where there was no step.
            What is not finite becomes null.
    """
    answer: dict[str, Any] = {"id": line.id}
    if line.has_input:
        answer["y"] = _plain(outputs)
    answer |= {name: True for name in ("reset", "end") if getattr(line, name)}
    return msgspec.json.encode(answer) + b"\n"


def refusal(number: int, error: RnnportError) -> bytes:
    """The line that answers a line which cannot be done; it has changed nothing."""
    text = "; ".join(str(reason) for reason in error.reasons)
    return msgspec.json.encode({"line": number, "error": text}) + b"\n"


def _plain(outputs: Any) -> Any:
    """Lists and objects for JSON."""
    if isinstance(outputs, dict):
        return {name: _plain(part) for name, part in outputs.items()}
    if isinstance(outputs, tuple):
        return [_plain(part) for part in outputs]
    array = np.asarray(outputs)
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        # The fewest digits that tell a float32 from its neighbours: 0.1, not 0.10000000149011612.
        array = array.astype("U").astype(np.float64)
    return array.tolist()
