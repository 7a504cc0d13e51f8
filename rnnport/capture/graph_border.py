"""The border of a graph that Keras knows nothing of: port names, and the states named by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnport.capture.source import name_inputs
from rnnport.errors import Reason, UsageError

__all__ = ["Border", "Tensors", "name_border"]


@dataclass(frozen=True)
class Border:
    """Tensor names at the border of a graph, and the port names they get.

    Attributes:
        inputs: tensor name to port name.
        outputs: tensor name to port name.
        pairs: state input port to state output port.
    """

    inputs: dict[str, str]
    outputs: dict[str, str]
    pairs: dict[str, str]


@dataclass(frozen=True)
class Tensors:
    """What a graph takes and gives; the values have a dtype and a shape.

    Attributes:
        takes: inputs by name.
        makes: what may give a state's next value, by name.
        makers: what the names of `makes` are, for messages: "tensor of the graph", say.
        numbered: a tensor's name ends in the number of its operation's output, as in "next:0".
    """

    takes: Mapping[str, Any]
    makes: Mapping[str, Any]
    makers: str
    numbered: bool

    def full(self, name: Any, known: Mapping[str, Any]) -> str:
        """A tensor's full name: the first output of an operation may be named without ":0"."""
        name = str(name)
        plain = name in known or not self.numbered or ":" in name
        return name if plain else f"{name}:0"


def name_border(tensors: Tensors, gives: Sequence[str], states: Mapping[str, str] | None) -> Border:
    """Name the ports; a state's pair share the name of what takes it, with _in and _out.

    Where the states' next values are all that comes out, the first of them stays an output, under
    its own name.

    Args:
        tensors: of the graph.
        gives: names of its outputs.
        states: what takes a state to what gives its next value.

    Raises:
        UsageError: states that cannot be meant; lists all of them.
    """
    named = [
        (tensors.full(a, tensors.takes), tensors.full(b, tensors.makes))
        for a, b in (states or {}).items()
    ]
    if reasons := list(_reasons(tensors, named)):
        raise UsageError(*reasons)
    pairs = dict(named)
    following = list(pairs.values())
    plain = [name for name in gives if name not in following] or following[:1]
    ordered = [*(name for name in tensors.takes if name not in pairs), *pairs]
    results = [*plain, *(name for name in following if name not in plain)]
    ports = name_inputs([*ordered, *results])
    inputs = dict(zip(ordered, ports, strict=False))
    outputs = dict(zip(results, ports[len(ordered) :], strict=True))
    taken = {inputs[a] for a in ordered if a not in pairs} | {outputs[b] for b in plain}
    for name, after in pairs.items():
        base = _base(inputs[name].removesuffix("_in"), taken)
        inputs[name] = f"{base}_in"
        if after not in plain:
            outputs[after] = f"{base}_out"
    return Border(inputs, outputs, {inputs[a]: outputs[b] for a, b in pairs.items()})


def _base(wish: str, taken: set[str]) -> str:
    """A name that is free with both endings."""
    base, number = wish, 1
    while {f"{base}_in", f"{base}_out"} & taken:
        base, number = f"{wish}_{number}", number + 1
    taken.update((f"{base}_in", f"{base}_out"))
    return base


def _reasons(tensors: Tensors, named: Sequence[tuple[str, str]]) -> Iterator[Reason]:
    takes, makes = tensors.takes, tensors.makes
    for name in dict.fromkeys(name for name, _ in named):
        if name not in takes:
            expected = f"one of {', '.join(takes)}"
            yield Reason(f"state {name!r}", "no input of that name", expected, "correct it")
        if sum(name == other for other, _ in named) > 1:
            yield Reason(f"state {name!r}", "named twice", "one next value", "leave one out")
    for name, after in named:
        if after not in makes:
            received = f"its next value {after!r} is no {tensors.makers}"
            expected = f"one of {', '.join(makes)}"
            if tensors.numbered:
                expected = "a tensor's name, as in 'lstm/add:0'"
            yield Reason(f"state {name!r}", received, expected, "correct it")
        elif tensors.numbered and after in takes:
            received = f"its next value {after!r} is an input of the graph"
            yield Reason(f"state {name!r}", received, "a tensor the graph computes", "correct it")
        elif name in takes and takes[name].shape.rank == 0:
            received, expected = "a single number", "a tensor with the batch as its first axis"
            yield Reason(f"state {name!r}", received, expected, "let every row carry its own")
        elif name in takes and _unlike(takes[name], makes[after]):
            received = f"{_told(takes[name])}, and its next value {after!r} {_told(makes[after])}"
            remedy = "name what gives the state's next value"
            yield Reason(f"state {name!r}", received, "one dtype and shape", remedy)
    yield from _shared(named)


def _shared(named: Sequence[tuple[str, str]]) -> Iterator[Reason]:
    for after in dict.fromkeys(after for _, after in named):
        sharing = list(dict.fromkeys(name for name, other in named if other == after))
        if len(sharing) > 1:
            subject = f"states {', '.join(map(repr, sharing))}"
            received = f"{after!r} as next value of each"
            yield Reason(subject, received, "a next value of its own for each", "correct it")


def _unlike(taken: Any, made: Any) -> bool:
    return taken.dtype != made.dtype or not taken.shape.is_compatible_with(made.shape)


def _told(tensor: Any) -> str:
    shape = "of unknown rank" if tensor.shape.rank is None else str(tuple(tensor.shape.as_list()))
    return f"{tensor.dtype.name} {shape}"
