"""Which tensor of an encoder goes where in a decoder: by name, else in order, always by shape.

Nothing here runs a model: ports go in, indices come out. Shapes are compared behind the batch.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass

from rnnport.errors import Reason, UnsupportedModel, UsageError
from rnnport.spec import Port

__all__ = ["Link", "Wiring", "wire"]

_SUBJECT = "encoder and decoder"
# What people put before or behind a name to tell a state from its next value.
_AFFIXES = re.compile(
    r"^(next|new|last|previous|prev|initial)_|_(in|out|input|output|next|start|prev|previous)$"
)


@dataclass(frozen=True)
class Link:
    """A decoder input that is not given anew for every step.

    Attributes:
        input: which input of the decoder.
        source: the encoder output it starts from; None starts from zeros.
        output: the decoder output that gives its next value; None where it stays the same.
    """

    input: int
    source: int | None
    output: int | None


@dataclass(frozen=True)
class Wiring:
    """How the two models meet.

    Attributes:
        own: inputs that the decoder is given anew for every step.
        links: its other inputs, in its order.
        unused: encoder outputs that nobody takes.
    """

    own: list[int]
    links: list[Link]
    unused: list[int]


class _Misfit(Exception):
    """Why the two do not fit, and what would."""

    def __init__(self, reason: str, expected: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.expected, self.remedy = reason, expected, remedy


def wire(
    given: Sequence[Port],
    taken: Sequence[Port],
    returned: Sequence[Port],
    *,
    states: Mapping[str, str] | None = None,
    own: Collection[str] | None = None,
    ordered: bool = True,
    keyed: bool = False,
) -> Wiring:
    """Match the encoder's outputs with the decoder's inputs, and its states with their next values.

    Args:
        given: what the encoder gives, in order; names as the user knows them, "" where none.
        taken: what the decoder takes.
        returned: what the decoder gives.
        states: decoder input to decoder output, where the user says so; no others are states then.
        own: names of the inputs given anew for every step, where the user says so.
        ordered: whether the decoder's first input is its first argument, not a dict's first key.
        keyed: whether the decoder gives a dict, whose first key may well be a state.

    Raises:
        UsageError: states or own name what is not there.
        UnsupportedModel: the two do not fit together; lists what both give and take.
    """
    said = _said(states or {}, taken, returned)
    closed = _closed(own, taken, ordered)
    try:
        handed = _handed(given, taken, closed, own is None)
        fresh = [i for i in range(len(taken)) if i not in handed and i not in said]
        if not fresh:
            raise _no_own()
        following = said if states is not None else _following(taken, returned, handed, keyed)
    except _Misfit as misfit:
        raise UnsupportedModel.of(
            _SUBJECT,
            f"encoder gives {_list(given)}; decoder takes {_list(taken)} and gives "
            f"{_list(returned)}: {misfit.reason}",
            misfit.expected,
            misfit.remedy,
        ) from None
    links = [Link(i, handed.get(i), following.get(i)) for i in range(len(taken)) if i not in fresh]
    used = set(handed.values())
    return Wiring(fresh, links, [i for i in range(len(given)) if i not in used])


def _said(
    states: Mapping[str, str], taken: Sequence[Port], returned: Sequence[Port]
) -> dict[int, int]:
    """The user's word, as indices."""
    found: dict[int, int] = {}
    reasons = []
    for name, following in states.items():
        for wanted, ports, side in ((name, taken, "takes"), (following, returned, "gives")):
            if sum(port.name == wanted for port in ports) != 1:
                expected = f"one of what the decoder {side}: {_list(ports)}"
                reasons.append(Reason("states", repr(wanted), expected, "name one of them"))
        i = next((n for n, port in enumerate(taken) if port.name == name), None)
        j = next((n for n, port in enumerate(returned) if port.name == following), None)
        if i is None or j is None:
            continue
        found[i] = j
        if not _meet(taken[i], returned[j]):
            received = f"{_show(taken[i])} → {_show(returned[j])}"
            expected = "a state and its next value, of one shape and dtype"
            reasons.append(Reason("states", received, expected, "name another output"))
    if reasons:
        raise UsageError(*reasons)
    return found


def _closed(own: Collection[str] | None, taken: Sequence[Port], ordered: bool) -> set[int]:
    """Inputs that order alone does not give an encoder output to."""
    if own is None:
        return {0} if ordered else set()
    names = [port.name for port in taken]
    unknown = [name for name in own if name not in names]
    if unknown or not own:
        expected = f"some of the decoder's inputs: {', '.join(names)}"
        received = ", ".join(unknown) or "none"
        raise UsageError.of("decoder_inputs", received, expected, "name inputs of the decoder")
    return {n for n, name in enumerate(names) if name in own}


def _no_own() -> _Misfit:
    return _Misfit(
        "every input of the decoder comes from the encoder, so it has none of its own",
        "a decoder input that is given anew for every step: the last token, say",
        "add it to the decoder; or pass a single model as the first argument",
    )


def _handed(
    given: Sequence[Port], taken: Sequence[Port], closed: Set[int], guessed: bool
) -> dict[int, int]:
    """Decoder input to the encoder output it starts from."""
    try:
        found = _assigned(given, taken, closed, not guessed)
    except _Misfit:
        # The first input was taken for the decoder's own: it may be that there is none.
        if guessed and closed and _all_taken(given, taken):
            raise _no_own() from None
        raise
    if not found and guessed and closed and _all_taken(given, taken):
        raise _no_own()
    if not found:
        raise _Misfit(
            "the decoder takes nothing of what the encoder gives",
            "decoder inputs, the first aside, of the rank, sizes and dtype of encoder outputs",
            "give the decoder inputs for the encoder's states",
        )
    return found


def _all_taken(given: Sequence[Port], taken: Sequence[Port]) -> bool:
    try:
        return len(_assigned(given, taken, set(), False)) == len(taken)
    except _Misfit:
        return False


def _assigned(
    given: Sequence[Port], taken: Sequence[Port], closed: Set[int], said: bool
) -> dict[int, int]:
    """Closed inputs are given nothing by order; by name neither, where the user closed them."""
    found = _by_name(taken, given)
    found = {i: j for i, j in found.items() if not (i in closed and said)}
    found |= _by_order(given, taken, found, closed)
    return found | _by_fit(given, taken, found, closed)


def _by_fit(
    given: Sequence[Port], taken: Sequence[Port], known: Mapping[int, int], closed: Set[int]
) -> dict[int, int]:
    """Sizes that vary on one side meet those that are fixed on the other."""
    found: dict[int, int] = {}
    for j, port in enumerate(given):
        if j in known.values() or j in found.values():
            continue
        free = [i for i in range(len(taken)) if i not in {*known, *found, *closed}]
        inputs = [i for i in free if _meet(taken[i], port)]
        if inputs:
            rivals = [n for n in range(j, len(given)) if _key(given[n]) == _key(port)]
            outputs = [n for n in rivals if n not in known.values()]
            found |= _paired(given, outputs, taken, inputs)
            continue
        near = [i for i in free if _is_near(taken[i], port)]
        if near:
            raise _Misfit(
                f"encoder output {_show(port)} fits none of {_list([taken[i] for i in near])}",
                "decoder inputs of the rank, sizes and dtype of what the encoder gives",
                "build encoder and decoder of one size, from the same layers",
            )
    return found


def _by_name(one: Sequence[Port], other: Sequence[Port]) -> dict[int, int]:
    """Ports of one name, taken once on either side, that also fit."""
    left, right = ([_stem(port.name) for port in ports] for ports in (one, other))
    return {
        i: right.index(name)
        for i, name in enumerate(left)
        if left.count(name) == right.count(name) == 1
        if _meet(one[i], other[right.index(name)])
    }


def _by_order(
    given: Sequence[Port], taken: Sequence[Port], known: Mapping[int, int], closed: Set[int]
) -> dict[int, int]:
    """Of like tensors, as many on either side, the encoder's in order are the decoder's."""
    found: dict[int, int] = {}
    open_outputs = [j for j in range(len(given)) if j not in known.values()]
    for key, outputs in _classes(given, open_outputs).items():
        inputs = [i for i in range(len(taken)) if i not in known and i not in closed]
        inputs = [i for i in inputs if _key(taken[i]) == key]
        if inputs:
            found |= _paired(given, outputs, taken, inputs)
    return found


def _paired(
    given: Sequence[Port], outputs: Sequence[int], taken: Sequence[Port], inputs: Sequence[int]
) -> dict[int, int]:
    """Tensors that only their order tells apart: where their numbers differ, it does not."""
    ones, others = _list([given[j] for j in outputs]), _list([taken[i] for i in inputs])
    if len(outputs) > len(inputs):
        raise _Misfit(
            f"{len(outputs)} encoder outputs are alike, {ones}, "
            f"and the decoder has {len(inputs)} such input(s)",
            "as many decoder inputs as encoder outputs of one shape",
            "leave out the outputs that the decoder does not take, or give both sides names: "
            "a dict from the encoder with the names of the decoder's inputs",
        )
    if len(outputs) < len(inputs):
        raise _Misfit(
            f"which of its inputs {others} starts from {ones} is not clear",
            "as many encoder outputs as decoder inputs of one shape, or the same name on both "
            "sides",
            "return a dict from the encoder with the names of the decoder's inputs, name those "
            "that the decoder is given anew for every step in decoder_inputs=, and those that "
            "start from zeros in states=",
        )
    return dict(zip(inputs, outputs, strict=True))


def _following(
    taken: Sequence[Port], returned: Sequence[Port], handed: Mapping[int, int], keyed: bool
) -> dict[int, int]:
    """Decoder input to the decoder output, behind the first, that gives its next value.

    Of a dict any output may be. What has a time axis is context: no state grows from step to step.
    """
    first = 0 if keyed else 1
    inputs = [i for i in sorted(handed) if not any(isinstance(a, str) for a in taken[i].shape[1:])]
    named = _by_name([taken[i] for i in inputs], returned[first:])
    found = {inputs[i]: j + first for i, j in named.items()}
    for key, alike in _classes(taken, [i for i in inputs if i not in found]).items():
        outputs = [
            j
            for j, port in enumerate(returned)
            if j >= first and j not in found.values() and _key(port) == key
        ]
        if outputs and len(outputs) != len(alike):
            raise _Misfit(
                f"which of its outputs {_list([returned[j] for j in outputs])} gives the next "
                f"value of which of its inputs {_list([taken[i] for i in alike])} is not clear",
                "one output, behind the first, for each state of one shape",
                'pass states={"decoder input": "decoder output"} for every state',
            )
        found |= dict(zip(alike, outputs, strict=False))
    return found


_Key = tuple[str, tuple[int | None, ...]]


def _classes(ports: Sequence[Port], among: Sequence[int]) -> dict[_Key, list[int]]:
    """Indices of ports that only their order tells apart."""
    found: dict[_Key, list[int]] = {}
    for index in among:
        found.setdefault(_key(ports[index]), []).append(index)
    return found


def _key(port: Port) -> _Key:
    """Dtype, and sizes behind the batch, None where they vary."""
    return port.dtype, tuple(a if isinstance(a, int) else None for a in port.shape[1:])


def _meet(one: Port, other: Port) -> bool:
    """Whether two ports can be one tensor."""
    return (
        one.dtype == other.dtype
        and len(one.shape) == len(other.shape)
        and all(
            a == b or isinstance(a, str) or isinstance(b, str)
            for a, b in zip(one.shape[1:], other.shape[1:], strict=True)
        )
    )


def _is_near(one: Port, other: Port) -> bool:
    """Whether two ports were probably meant for one another: ids are no states."""
    kinds = {"int" in port.dtype for port in (one, other)}
    alike = len(one.shape) == len(other.shape) and len(kinds) == 1
    return alike or _stem(one.name) == _stem(other.name)


def _stem(name: str) -> str:
    return _AFFIXES.sub("", name)


def _list(ports: Sequence[Port]) -> str:
    shown = ", ".join(map(_show, ports)) or "nothing"
    return f"{len(ports)} tensors {shown}" if len(ports) > 1 else shown


def _show(port: Port) -> str:
    shape = ", ".join(str(axis) for axis in port.shape)
    return f"{port.name} {port.dtype} ({shape})".strip()
