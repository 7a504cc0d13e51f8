"""StreamPlan: what a stream form takes and gives, sorted out once for stepper and pool."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from numpy.typing import NDArray

from rnnport.errors import NotStreamable, Reason
from rnnport.runtime.structure import bind, leaves, without_others
from rnnport.spec import Form, Manifest, Port, State, Structure

__all__ = ["STREAM", "StreamPlan", "add_time", "drop_time", "has_time", "resolve", "sizes"]

STREAM = "stream"

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class StreamPlan:
    """A stream form, seen from the one who steps it.

    Attributes:
        digest: 16 bytes that tell this form from any other; snapshots carry them.
        chunks: inputs given anew for every step, (B, T, F…), or (B, F…) where the form is timeless.
        fixed: inputs given once for a whole stream, (B, F…).
        starts: model inputs a state may start from; shape and dtype are the state's.
        states: the states, (B, …) each.
        outputs: (B, T, F…) with an output for every step, or (B, F…) as if the sequence ended.
        timeless: the form takes exactly one step and knows no T.
        batch: the only batch size the form takes, or None for any.
        structure: nesting of the inputs in chunks.
        output_structure: nesting of the outputs.
    """

    digest: bytes
    chunks: tuple[Port, ...]
    fixed: tuple[Port, ...]
    starts: tuple[Port, ...]
    states: tuple[State, ...]
    outputs: tuple[Port, ...]
    timeless: bool
    batch: int | None
    structure: Structure
    output_structure: Structure

    @classmethod
    def of(cls, manifest: Manifest) -> StreamPlan:
        """Read the plan of a manifest that has a stream form.

        Raises:
            NotStreamable: a fixed input or state whose size varies: there is no keeping it.
        """
        form = manifest.forms[STREAM]
        _require_sizes(form)
        chunks = tuple(form.per_step)
        names = {port.name for port in chunks}
        return cls(
            digest=_digest(form),
            chunks=chunks,
            fixed=tuple(port for port in form.inputs if port.name in form.fixed),
            starts=_starts(form.states),
            states=tuple(form.states),
            outputs=tuple(form.outputs),
            timeless=not any(has_time(port) for port in chunks),
            batch=_fixed_batch((*form.inputs, *form.states)),
            structure=without_others(manifest.input_structure, names),
            output_structure=_nesting_left(
                manifest.output_structure, {port.name for port in form.outputs}
            ),
        )

    @property
    def steps(self) -> tuple[Port, ...]:
        """The inputs of one step, (B, F…)."""
        return tuple(_without_axis(port) for port in self.chunks)

    @property
    def pieces(self) -> tuple[Port, ...]:
        """The inputs of a chunk, (B, T, F…), of a timeless form too."""
        return tuple(_with_axis(port) for port in self.chunks) if self.timeless else self.chunks

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Give every argument of a call its per-step input, nested as Runner.run takes them."""
        return bind(self.chunks, self.structure, args, kwargs)

    def bind_lists(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """As bind, for calls that give a list of chunks for every input."""
        if len(self.chunks) == 1 and len(args) == 1 and not isinstance(args[0], Mapping):
            # Not to be taken for a list of inputs.
            return {self.chunks[0].name: args[0], **kwargs}
        return self.bind(args, kwargs)


def add_time(ports: Iterable[Port], steps: Arrays) -> Arrays:
    """Arrays of one step, (B, F…), as chunks of one step, (B, 1, F…)."""
    return {p.name: steps[p.name][:, None] if has_time(p) else steps[p.name] for p in ports}


def drop_time(ports: Iterable[Port], chunks: Arrays) -> Arrays:
    """Chunks of one step, (B, 1, F…), as arrays of that step, (B, F…)."""
    return {p.name: chunks[p.name][:, 0] if has_time(p) else chunks[p.name] for p in ports}


def sizes(tensor: Port | State) -> tuple[int, ...]:
    """Sizes of a state or fixed input behind the batch axis; they are all known."""
    return tuple(axis for axis in tensor.shape[1:] if isinstance(axis, int))


def resolve(shape: Sequence[int | str], sizes: Mapping[str, int]) -> tuple[int, ...] | None:
    """Put sizes for letters; None where a letter has no size."""
    found = [axis if isinstance(axis, int) else sizes.get(axis, -1) for axis in shape]
    return None if -1 in found else tuple(found)


def has_time(port: Port) -> bool:
    """Whether a port has one entry for every step, along axis 1."""
    return len(port.shape) > 1 and port.shape[1] == "T"


def _without_axis(port: Port) -> Port:
    shape = [port.shape[0], *port.shape[2:]] if has_time(port) else port.shape
    return msgspec.structs.replace(port, shape=shape)


def _with_axis(port: Port) -> Port:
    return msgspec.structs.replace(port, shape=[port.shape[0], "T", *port.shape[1:]])


def _require_sizes(form: Form) -> None:
    kept: list[tuple[str, Port | State]] = [(s.name, s) for s in form.states]
    kept += [(port.name, port) for port in form.inputs if port.name in form.fixed]
    reasons = [
        Reason(name, f"shape {tensor.shape}", "one size in every call", "use runner.run")
        for name, tensor in kept
        if any(isinstance(axis, str) for axis in tensor.shape[1:])
    ]
    if reasons:
        raise NotStreamable(*reasons)


def _fixed_batch(tensors: Iterable[Port | State]) -> int | None:
    sizes = [t.shape[0] for t in tensors if t.shape and isinstance(t.shape[0], int)]
    return sizes[0] if sizes else None


def _starts(states: Iterable[State]) -> tuple[Port, ...]:
    """One port for each input that states start from; several states may share one."""
    ports = {s.start: Port(name=s.start, dtype=s.dtype, shape=s.shape) for s in states if s.start}
    return tuple(ports.values())


def _digest(form: Form) -> bytes:
    """The graph's own hash; weights beside it count too."""
    hashes = [bytes.fromhex(record.sha256) for record in (form.record, *form.data)]
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256(b"".join(hashes)).digest()
    return whole[:16]


def _nesting_left(structure: Structure, names: set[str]) -> Structure:
    """The nesting of outputs where states are left out; one array that is left stands alone."""
    if leaves(structure) == names:
        return structure
    left = without_others(structure, names)
    return left.items[0] if len(left.items) == 1 else left
