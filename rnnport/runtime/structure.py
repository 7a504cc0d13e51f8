"""Nested inputs and outputs, as Keras takes and gives them, against flat named arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from numpy.typing import NDArray

from rnnport.errors import InputError, Reason
from rnnport.spec import Port, Structure

__all__ = ["bind", "leaves", "pack", "without_others"]

_REMEDY = "pass one array for each input, in order or by name"


def pack(structure: Structure, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Nest flat outputs: a leaf gives an array, a tuple or list a tuple, a dict a dict.

    Args:
        structure: the manifest's output_structure.
        arrays: port name to array, any shapes.
    """
    if structure.kind == "leaf":
        return arrays[structure.name]
    items = [pack(item, arrays) for item in structure.items]
    if structure.kind == "dict":
        return dict(zip(structure.keys, items, strict=True))
    return tuple(items)


def bind(
    ports: Sequence[Port], structure: Structure, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Give every argument of a call its port.

    Args:
        ports: the form's inputs, in call order.
        structure: the manifest's input_structure.
        args: arrays in port order, or one dict, list or tuple nested like structure, or one dict
            from port names.
        kwargs: arrays by port name.

    Returns:
        Port name to argument. Names may be missing or unknown: the checks say so, together with
        whatever else is wrong.

    Raises:
        InputError: too many arguments, an input given twice, or a nesting that does not fit.
    """
    names = [port.name for port in ports]
    if len(args) == 1 and _is_nested(args[0], structure):
        positional = _unnest(args[0], structure, names)
    else:
        positional = _in_order(args, names)
    twice = [name for name in positional if name in kwargs]
    if twice:
        reasons = [
            Reason(f"input {name!r}", "given by position and by name", "once", "drop one of them")
            for name in twice
        ]
        raise InputError(*reasons)
    return positional | dict(kwargs)


def without_others(structure: Structure, names: set[str]) -> Structure:
    """Structure with only the leaves named; what becomes empty goes too."""
    if structure.kind == "leaf":
        return structure
    kept = [
        (index, without_others(item, names))
        for index, item in enumerate(structure.items)
        if names & leaves(item)
    ]
    return msgspec.structs.replace(
        structure,
        keys=[structure.keys[index] for index, _ in kept] if structure.keys else [],
        items=[item for _, item in kept],
    )


def leaves(structure: Structure) -> set[str]:
    """Names of the ports in a structure."""
    own = {structure.name} if structure.kind == "leaf" else set()
    return own.union(*(leaves(item) for item in structure.items))


def _in_order(args: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    if len(args) > len(names):
        expected = f"at most {len(names)}: {', '.join(names)}"
        raise InputError.of("arguments", f"{len(args)} by position", expected, _REMEDY)
    return dict(zip(names, args, strict=False))


def _is_nested(value: Any, structure: Structure) -> bool:
    """Whether one argument stands for all inputs rather than for the first of them."""
    if isinstance(value, Mapping):
        return True
    if structure.kind == "leaf" or not isinstance(value, (list, tuple)):
        return False
    # [[1, 2], [3, 4]] for a model of one listed input is an array written as lists.
    return len(structure.items) > 1 or any(_is_container(item) for item in value)


def _is_container(item: Any) -> bool:
    return isinstance(item, Mapping) or hasattr(item, "__array__")


def _unnest(value: Any, structure: Structure, names: Sequence[str]) -> dict[str, Any]:
    """Flatten value along structure; a flat dict from port names is taken too, as Keras does."""
    if isinstance(value, Mapping) and not _matches(value, structure):
        if set(value) & set(names):
            return {str(name): item for name, item in value.items()}
        expected = f"keys {sorted(structure.keys or names)}"
        raise InputError.of("inputs", f"keys {sorted(map(str, value))}", expected, _REMEDY)
    return dict(_flatten(value, structure, "inputs"))


def _matches(value: Mapping[Any, Any], structure: Structure) -> bool:
    return structure.kind == "dict" and set(value) == set(structure.keys)


def _flatten(value: Any, structure: Structure, where: str) -> Iterator[tuple[str, Any]]:
    if structure.kind == "leaf":
        yield structure.name, value
        return
    for key, item, child in _children(value, structure, where):
        yield from _flatten(item, child, f"{where}[{key!r}]")


def _children(
    value: Any, structure: Structure, where: str
) -> Iterator[tuple[str | int, Any, Structure]]:
    """Pair the parts of value with the parts of structure."""
    if structure.kind == "dict":
        if not isinstance(value, Mapping) or not _matches(value, structure):
            received = (
                f"keys {sorted(map(str, value))}" if isinstance(value, Mapping) else _kind(value)
            )
            raise InputError.of(where, received, f"a dict with keys {structure.keys}", _REMEDY)
        yield from (
            (key, value[key], child)
            for key, child in zip(structure.keys, structure.items, strict=True)
        )
        return
    if not isinstance(value, (list, tuple)) or len(value) != len(structure.items):
        expected = f"a {structure.kind} of {len(structure.items)}"
        raise InputError.of(where, _kind(value), expected, _REMEDY)
    yield from (
        (i, item, child) for i, (item, child) in enumerate(zip(value, structure.items, strict=True))
    )


def _kind(value: Any) -> str:
    size = f" of {len(value)}" if isinstance(value, (list, tuple)) else ""
    return f"a {type(value).__name__}{size}"
