"""Fields of a protobuf message, read strictly; what is not asked for is skipped, not decoded."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["Damaged", "integers", "messages", "text", "whole"]

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_FIXED = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}

Field = tuple[int, int | memoryview]
"""Number, and a varint's value or the bytes of anything else."""


class Damaged(ValueError):
    """Bytes that are no such message."""


def messages(data: memoryview) -> Iterator[Field]:
    """The fields of a message, in their order.

    Raises:
        Damaged: a length that runs over the end, a type protobuf does not have, an endless number.
    """
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise Damaged(f"field number 0 at byte {place}")
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = _varint(data, place)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise Damaged(f"wire type {kind} at byte {place}")
        if size > len(data) - place:
            raise Damaged(f"{size} bytes announced where {len(data) - place} are left")
        yield number, data[place : place + size]
        place += size


def whole(value: int | memoryview) -> memoryview:
    """A field that must hold bytes."""
    if isinstance(value, int):
        raise Damaged("a number where bytes belong")
    return value


def text(value: int | memoryview) -> str:
    """A field that must hold UTF-8."""
    try:
        return bytes(whole(value)).decode()
    except UnicodeDecodeError as error:
        raise Damaged("text that is no UTF-8") from error


def integers(value: int | memoryview) -> list[int]:
    """One signed integer, or a packed list of them."""
    if isinstance(value, int):
        return [_signed(value)]
    found, place = [], 0
    while place < len(value):
        number, place = _varint(value, place)
        found.append(_signed(number))
    return found


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise Damaged("the end in the middle of a number")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 64:
                break
            return value, place
    raise Damaged("a number of more than 64 bits")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
