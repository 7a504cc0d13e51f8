"""The streaming law: the whole run equals every way to cut it, on one runtime (DESIGN.md, law 3).

The whole is model.onnx. Outputs of every step are joined over the chunks and compared; an output
that stands for the whole sequence is compared, after some of the chunks, with a run of the steps
so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.parity.compare import Comparison, compare_all
from rnnport.parity.failure import failure
from rnnport.parity.tolerance import TOLERANCES
from rnnport.samples import MASK_KINDS, affordable, draw, masks_anything
from rnnport.spec import Check, Form, Port

__all__ = [
    "Cut",
    "check_streaming",
    "cuts",
    "first_states",
    "open_valid",
    "random_lengths",
    "starts_given",
]

Arrays = Mapping[str, NDArray[Any]]
Run = Callable[[Arrays], Arrays]

_BATCH = 3
_STEPS = 19
_ENDS = 5


@dataclass(frozen=True)
class Cut:
    """One sequence and where it is cut.

    Attributes:
        name: e.g. "stream, right mask, B=3 T=23 in 7 chunks".
        inputs: per-step inputs with their time axis, fixed inputs, and values to start from.
        lengths: of the chunks, all at least 1.
    """

    name: str
    inputs: Arrays
    lengths: Sequence[int]


def random_lengths(time: int, rng: np.random.Generator) -> list[int]:
    """Cut `time` steps into chunks of random length, at least 1 each."""
    lengths = []
    while time:
        lengths.append(int(rng.integers(1, min(time, 9) + 1)))
        time -= lengths[-1]
    return lengths


def cuts(model: Form, stream: Form, *, shortest: int = 4, seed: int = 0) -> list[Cut]:
    """Draw sequences with every kind of mask the model knows, each cut at random and into steps.

    Args:
        model: the whole form.
        stream: the stream form.
        shortest: a length the model takes.
        seed: the same seed gives the same cuts.
    """
    ports = [*(port.timed() for port in stream.per_step), *_held(model, stream)]
    given = starts_given(stream)
    masks = ("none", "right") if given else MASK_KINDS
    found = []
    for number, mask in enumerate(masks if masks_anything(ports) else ("none",)):
        wished = {"B": _BATCH, "T": shortest + _STEPS + number}
        sizes = affordable(ports, wished, {"T": shortest})
        batch, time = sizes["B"], sizes["T"]
        inputs = draw(ports, sizes, mask=mask, seed=seed + number)
        if given:
            open_valid(stream, inputs)
        rng = np.random.default_rng(seed + number)
        ways = [("chunks", random_lengths(time, rng))]
        if number < 2:
            ways.append(("steps", [1] * time))
        label = "" if mask == "none" else f"{mask} mask, "
        for way, lengths in ways if _chunked(stream) else ways[1:]:
            name = f"stream, {label}B={batch} T={time} in {len(lengths)} {way}"
            found.append(Cut(name, inputs, lengths))
    return found


def starts_given(stream: Form) -> bool:
    """Whether some state starts from other than zeros.

    Keras's whole run then gives zeros before the first valid step, a stream what it starts from:
    the law holds for sequences whose first step is valid.
    """
    return any(state.start or state.dtype == "bool" for state in stream.states)


def open_valid(stream: Form, inputs: Arrays) -> None:
    """Make the first step valid in every mask that is an input of its own, in place."""
    for port in stream.per_step:
        if port.dtype == "bool" and port.has_time:
            inputs[port.name][:, 0] = True


def check_streaming(
    model: Form,
    stream: Form,
    run_model: Run,
    run_stream: Run,
    found: Sequence[Cut],
    *,
    tolerance: float = TOLERANCES["stream"],
) -> list[Check]:
    """Compare the stream form with the whole form.

    Args:
        model: the whole form.
        stream: the stream form.
        run_model: input name to array in, output name to array out.
        run_stream: the same for the stream form, states included.
        found: what to run; see `cuts`.
        tolerance: from TOLERANCES, or of a precision's budget.
    """
    comparisons = []
    for cut in found:
        try:
            received, ends = _streamed(stream, run_stream, cut)
            expected = _expected(model, stream, run_model, cut, ends)
            comparisons.append(Comparison(cut.name, expected, received, kind="streaming"))
        except Exception as error:  # runtimes raise what they like
            note = failure(error)
            comparisons.append(Comparison(cut.name, {}, {}, note, "streaming"))
    names = [port.name for port in stream.outputs]
    timed = [port.name for port in stream.outputs if port.has_time]
    return compare_all("stream", comparisons, names, tolerance, timed=timed)


def _streamed(stream: Form, run: Run, cut: Cut) -> tuple[Arrays, list[int]]:
    """Outputs joined over the chunks, and after how many steps the others were taken."""
    batch = len(cut.inputs[stream.inputs[0].name])
    states = first_states(stream, cut.inputs, batch)
    joined: dict[str, list[NDArray[Any]]] = {port.name: [] for port in stream.outputs}
    held = {name: cut.inputs[name] for name in stream.fixed}
    at = 0
    wanted = _ends(cut.lengths)
    for length in cut.lengths:
        chunk = _slice(stream, cut.inputs, at, at + length)
        given = run({**chunk, **held, **states})
        at += length
        states = {s.input: given[s.output] for s in stream.states}
        for port in stream.outputs:
            if port.has_time or not _chunked(stream) or at in wanted:
                joined[port.name].append(given[port.name])
    return {port.name: _join(stream, port, joined[port.name]) for port in stream.outputs}, wanted


def _expected(model: Form, stream: Form, run: Run, cut: Cut, ends: Sequence[int]) -> Arrays:
    if not any(port.has_time for port in model.inputs):
        return _stepped(model, stream, run, cut)
    whole = run(_model_inputs(model, cut.inputs))
    prefixes: list[Arrays] = []
    if not all(port.has_time for port in stream.outputs):
        prefixes = [run(_prefix(model, stream, cut.inputs, end)) for end in ends]
    return {
        port.name: whole[port.name]
        if port.has_time
        else np.stack([part[port.name] for part in prefixes])
        for port in stream.outputs
    }


def _stepped(model: Form, stream: Form, run: Run, cut: Cut) -> Arrays:
    """A one-step model run step by step, its states handed on by hand."""
    time = sum(cut.lengths)
    batch = len(cut.inputs[stream.inputs[0].name])
    first = first_states(stream, cut.inputs, batch)
    handed = {s.start: first[s.input] for s in stream.states}
    steps: list[Arrays] = []
    for at in range(time):
        now = {p.name: cut.inputs[p.name][:, at] for p in stream.per_step}
        given = run({**now, **{n: cut.inputs[n] for n in stream.fixed}, **handed})
        handed = {s.start: given[s.end or _only(model)] for s in stream.states}
        steps.append(given)
    return {p.name: np.stack([s[p.name] for s in steps], axis=1) for p in stream.outputs}


def _only(model: Form) -> str:
    return model.outputs[0].name


def first_states(stream: Form, given: Arrays, batch: int) -> dict[str, NDArray[Any]]:
    """The states of fresh streams by input name: what they start from, zeros where nothing is.

    Args:
        stream: a form with states.
        given: holds the starts by their names.
        batch: B.
    """
    return {
        s.input: given[s.start]
        if s.start
        else np.zeros([batch, *(int(size) for size in s.shape[1:])], s.dtype)
        for s in stream.states
    }


def _ends(lengths: Sequence[int]) -> list[int]:
    """After how many steps to look at outputs without a time axis: the first, the last, some."""
    ends = np.cumsum(lengths)
    picked = np.linspace(0, len(ends) - 1, min(_ENDS, len(ends))).astype(int)
    return sorted({int(ends[i]) for i in picked})


def _join(stream: Form, port: Port, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if port.has_time:
        return np.concatenate(parts, axis=1)
    return np.stack(parts, axis=0 if _chunked(stream) else 1)


def _slice(stream: Form, inputs: Arrays, start: int, end: int) -> dict[str, NDArray[Any]]:
    if not _chunked(stream):
        return {p.name: inputs[p.name][:, start] for p in stream.per_step}
    return {p.name: np.ascontiguousarray(inputs[p.name][:, start:end]) for p in stream.per_step}


def _prefix(model: Form, stream: Form, inputs: Arrays, end: int) -> dict[str, NDArray[Any]]:
    cut = {p.name: np.ascontiguousarray(inputs[p.name][:, :end]) for p in stream.per_step}
    return {**_model_inputs(model, inputs), **cut}


def _model_inputs(model: Form, inputs: Arrays) -> dict[str, NDArray[Any]]:
    return {port.name: inputs[port.name] for port in model.inputs}


def _held(model: Form, stream: Form) -> Iterator[Port]:
    names = {*stream.fixed, *(s.start for s in stream.states)}
    return (port for port in model.inputs if port.name in names)


def _chunked(stream: Form) -> bool:
    return any(port.has_time for port in stream.inputs)
