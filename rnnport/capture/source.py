"""What is being exported: one callable over flat inputs, with names, dtypes and declared shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import keras

from rnnport.spec import Structure, StructureKind

if TYPE_CHECKING:
    from rnnport.capture.graph_plain import PlainGraphs

__all__ = ["Input", "Source", "name_inputs", "pack", "structure_of"]

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Input:
    """One input tensor as the model declares it.

    Attributes:
        name: port name.
        dtype: NumPy dtype name.
        shape: declared sizes, None where the model leaves them open.
        assumed_dtype: nobody declared the dtype; an Embedding downstream may correct it.
    """

    name: str
    dtype: str
    shape: Shape
    assumed_dtype: bool = False


@dataclass(frozen=True)
class Source:
    """A model ready to be traced.

    Attributes:
        name: the model's name.
        kind: what it was opened from, for the manifest.
        call: flat input tensors in port order to Keras's (nested) outputs, inference mode.
        inputs: the ports.
        structure: nesting of the inputs over the ports.
        layer: the Keras object, or None for a bare function.
        output_names: names of the flat outputs where the model has them.
        graph: TensorFlow 1 code, which is built and not called; None for everything else.
        states: ports that take a state to the ports that give its next value, where named.
        framework: name and version of the Keras it is a model of; "" where it is none.
        notes: for the manifest.
    """

    name: str
    kind: str
    call: Callable[[Sequence[Any]], Any]
    inputs: tuple[Input, ...]
    structure: Structure
    layer: Any = None
    output_names: tuple[str, ...] = ()
    graph: PlainGraphs | None = None
    states: Mapping[str, str] = field(default_factory=dict)
    framework: str = ""
    notes: tuple[str, ...] = ()
    policies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    original: Callable[[Sequence[Any]], Any] | None = None

    def with_integer_inputs(self, names: set[str]) -> Source:
        """The same source with int32 for the named inputs whose dtype was only assumed."""
        inputs = tuple(
            replace(i, dtype="int32", assumed_dtype=False)
            if i.name in names and i.assumed_dtype
            else i
            for i in self.inputs
        )
        return replace(self, inputs=inputs)


def structure_of(nest: Any, names: Sequence[str]) -> Structure:
    """Describe a nest of tensors whose leaves, in flattening order, have these names.

    Dicts are described in sorted key order, the order Keras flattens them in.
    """
    remaining = iter(names)

    def walk(node: Any) -> Structure:
        if isinstance(node, dict):
            keys = sorted(node)
            return Structure(
                kind="dict", keys=[str(k) for k in keys], items=[walk(node[k]) for k in keys]
            )
        if isinstance(node, (list, tuple)):
            kind: StructureKind = "list" if isinstance(node, list) else "tuple"
            return Structure(kind=kind, items=[walk(child) for child in node])
        return Structure(kind="leaf", name=next(remaining))

    return walk(nest)


def pack(nest: Any, flat: Sequence[Any]) -> Any:
    """Put flat tensors back into the nest they belong to."""
    return keras.tree.pack_sequence_as(nest, list(flat))


def name_inputs(names: Sequence[str]) -> list[str]:
    """Make names unique and usable as Python keywords."""
    taken: set[str] = set()
    result: list[str] = []
    for name in names:
        clean = re.sub(r"\W+", "_", name.split(":")[0]).strip("_") or "input"
        clean = f"input_{clean}" if clean[0].isdigit() else clean
        unique, count = clean, 1
        while unique in taken:
            unique, count = f"{clean}_{count}", count + 1
        taken.add(unique)
        result.append(unique)
    return result
