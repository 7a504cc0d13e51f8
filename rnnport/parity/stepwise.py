"""Encoder once, then the decoder step by step: the same walk taken by two runtimes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rnnport.parity.compare import Comparison, compare_all
from rnnport.parity.failure import failure
from rnnport.parity.streaming import first_states
from rnnport.parity.tolerance import TOLERANCES
from rnnport.samples import MASK_KINDS, draw, in_words, masks_anything
from rnnport.spec import Check, Form, Port

__all__ = ["Halves", "check_steps"]

Arrays = Mapping[str, NDArray[Any]]
Run = Callable[[Arrays], Arrays]
Halves = tuple[Run, Run]
"""Encoder and decoder on one runtime: input name to array in, output name to array out."""

_BATCH, _STEPS, _LONGER = 4, 5, 7


def check_steps(
    encoder: Form,
    decoder: Form,
    expected: Halves,
    received: Halves,
    *,
    sizes: Mapping[str, int],
    seed: int = 0,
) -> list[Check]:
    """Compare every output of every step, and the states after the last.

    Sources are masked in every way the encoder knows, at sizes that nothing was traced with.

    Args:
        encoder: its form.
        decoder: its form.
        expected: both models in TensorFlow.
        received: both graphs.
        sizes: for every axis letter of the encoder's inputs a size that ran.
        seed: the same seed draws the same inputs.
    """
    comparisons = []
    kinds = MASK_KINDS if masks_anything(encoder.inputs) else ("none",)
    for number, mask in enumerate(kinds):
        grown = {a: n + _LONGER + 2 * i + number for i, (a, n) in enumerate(sizes.items())}
        grown |= {"B": _BATCH} if "B" in sizes else {}
        inputs = draw(encoder.inputs, grown, mask=mask, seed=seed + number)
        own = draw([_many(p) for p in decoder.per_step], {"B": _BATCH} | grown, seed=seed + number)
        label = "" if mask == "none" else f"{mask} mask, "
        shape = in_words(grown)
        name = f"steps, {label}{shape} in {_STEPS} steps"
        comparisons.append(_compared(name, encoder, decoder, (expected, received), inputs, own))
    names = [*(p.name for p in decoder.outputs), *(s.output for s in decoder.states)]
    return compare_all("steps", comparisons, names, TOLERANCES["cpu"])


def _compared(
    name: str,
    encoder: Form,
    decoder: Form,
    sides: Sequence[Halves],
    inputs: Arrays,
    own: Arrays,
) -> Comparison:
    try:
        expected, received = (_walk(encoder, decoder, halves, inputs, own) for halves in sides)
    except Exception as error:  # runtimes and models raise what they like
        note = failure(error)
        return Comparison(name, {}, {}, note, "hand-off")
    return Comparison(name, expected, received, kind="hand-off")


def _walk(
    encoder: Form, decoder: Form, halves: Halves, inputs: Arrays, own: Arrays
) -> dict[str, NDArray[Any]]:
    """Outputs of every step, (N, …) each, and the last states."""
    run_encoder, run_decoder = halves
    handed = run_encoder(inputs)
    batch = len(inputs[encoder.inputs[0].name])
    states: Arrays = first_states(decoder, handed, batch)
    context = {name: handed[name] for name in decoder.fixed}
    steps: list[Arrays] = []
    for at in range(_STEPS):
        now = {port.name: _step(port, own[port.name], at) for port in decoder.per_step}
        given = run_decoder({**now, **context, **states})
        states = {state.input: given[state.output] for state in decoder.states}
        steps.append(given)
    outputs = {p.name: np.stack([step[p.name] for step in steps]) for p in decoder.outputs}
    return outputs | {state.output: states[state.input] for state in decoder.states}


def _has_axis(port: Port) -> bool:
    """Whether a step has a time axis, of length 1 or open."""
    held = port.shape[1:2] == [1] and (len(port.shape) > 2 or port.is_ids)
    return port.has_time or held


def _many(port: Port) -> Port:
    """All steps in one array, (B, N, …)."""
    rest = port.shape[2:] if _has_axis(port) else port.shape[1:]
    return msgspec.structs.replace(port, shape=[port.shape[0], _STEPS, *rest])


def _step(port: Port, array: NDArray[Any], at: int) -> NDArray[Any]:
    step = array[:, at : at + 1] if _has_axis(port) else array[:, at]
    return np.ascontiguousarray(step)
