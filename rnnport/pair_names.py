"""Names for the tensors that an encoder and a decoder share, as the other forms name theirs."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rnnport.graph.state_names import StateNames
from rnnport.pair_match import Link, Wiring
from rnnport.spec import Port

__all__ = ["Named", "Names", "name_own", "name_tensors"]

Chosen = list[tuple[int, str]]
"""Which input or output of a model, and its name."""


@dataclass(frozen=True)
class Named:
    """A link with names.

    Attributes:
        link: which tensors.
        input: of the decoder's input.
        start: of the encoder's output; the input's own for context, "" where there is none.
        output: of the decoder's output, "" for context.
    """

    link: Link
    input: str
    start: str
    output: str = ""


@dataclass(frozen=True)
class Names:
    """All tensors of both halves.

    Attributes:
        own: inputs given anew for every step.
        states: in the decoder's order.
        context: likewise.
        unused: encoder outputs that nobody takes.
        outputs: of the model, one for each output of the decoder.
    """

    own: Chosen
    states: list[Named]
    context: list[Named]
    unused: Chosen
    outputs: list[str]

    @property
    def encoder_outputs(self) -> Chosen:
        """Starts of states, context, then what nobody takes."""
        handed = [*self.states, *self.context]
        found = [(n.link.source, n.start) for n in handed]
        return [*((index, name) for index, name in found if index is not None), *self.unused]

    @property
    def decoder_inputs(self) -> Chosen:
        """Its own, context, then states."""
        return [*self.own, *((n.link.input, n.input) for n in (*self.context, *self.states))]

    @property
    def decoder_outputs(self) -> Chosen:
        """What is no state, then the next states."""
        found = [(n.link.output, n.output) for n in self.states]
        return [*self.plain, *((index, name) for index, name in found if index is not None)]

    @property
    def plain(self) -> Chosen:
        """Outputs that are no states; the first is given out in any case."""
        moved = {named.link.output for named in self.states} - {0}
        return [(n, name) for n, name in enumerate(self.outputs) if n not in moved]


def name_own(wiring: Wiring, taken: Sequence[Port], source: Sequence[str]) -> Chosen:
    """The decoder's own inputs beside the encoder's, who may have the same names."""
    used, found = set(source), []
    for index in wiring.own:
        name = taken[index].name
        found.append((index, _unused(f"decoder_{name}" if name in used else name, used)))
    return found


def name_tensors(
    wiring: Wiring,
    own: Chosen,
    given: Sequence[Port],
    taken: Sequence[Port],
    model_inputs: Collection[str],
    model_outputs: Sequence[str],
) -> Names:
    """Name everything else; the outputs keep the names they have in model.onnx.

    Args:
        wiring: how the two meet.
        own: from name_own.
        given: what the encoder gives.
        taken: what the decoder takes.
        model_inputs: names.
        model_outputs: names, one for each output of the decoder.
    """
    used, unique = {*model_inputs, *model_outputs}, StateNames()
    states, context = [], []
    for link in wiring.links:
        wish = taken[link.input].name
        if link.output is not None:
            states.append(_state(link, wish, unique, used))
        else:
            name = _unused(wish, used)
            context.append(Named(link, name, name))
    unused = [(index, _unused(_clean(given[index].name), used)) for index in wiring.unused]
    return Names(list(own), states, context, unused, list(model_outputs))


def _state(link: Link, wish: str, unique: StateNames, used: set[str]) -> Named:
    base = re.sub(r"_(in|input)$", "", _clean(wish)) or "state"
    name = unique.take(base)
    while used & {f"{name}_in", f"{name}_out", f"{name}_start"}:
        name = unique.take(base)
    start = f"{name}_start" if link.source is not None else ""
    used.update({f"{name}_in", f"{name}_out", start})
    return Named(link, f"{name}_in", start, f"{name}_out")


def _clean(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_") or "output"


def _unused(wish: str, used: set[str]) -> str:
    """The wish, or the wish with a number; used from now on."""
    name, number = wish, 2
    while name in used:
        name, number = f"{wish}_{number}", number + 1
    used.add(name)
    return name
