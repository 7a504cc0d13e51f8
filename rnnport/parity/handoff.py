"""Encoder and decoder against the whole model: what to run (DESIGN.md, law 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.parity.streaming import Cut, random_lengths
from rnnport.samples import MASK_KINDS, draw, in_words, masks_anything
from rnnport.spec import Form

__all__ = ["handoff_cuts"]

Arrays = Mapping[str, NDArray[Any]]

_BATCH = 3
_LONGER = 9


def handoff_cuts(
    model: Form,
    encoder: Form,
    decoder: Form,
    run_encoder: Callable[[Arrays], Arrays],
    *,
    sizes: Mapping[str, int],
    mask_targets: bool = True,
    seed: int = 0,
) -> list[Cut]:
    """Draw teacher-forced sequences, run the encoder on each, and cut the decoder's side.

    Sources are masked in every way the model knows. Targets are not, or on the right: a layer that
    starts from a given state gives zeros before its first valid step in Keras.

    Args:
        model: the whole form.
        encoder: the encoder's form.
        decoder: the decoder's form.
        run_encoder: input name to array in, output name to array out.
        sizes: for every axis letter of the model's inputs a size that ran.
        mask_targets: whether targets may be masked at all.
        seed: the same seed gives the same cuts.
    """
    kinds = MASK_KINDS if masks_anything(model.inputs) else ("none",)
    found = []
    for number, mask in enumerate(kinds):
        grown = {a: n + _LONGER + 2 * i + number for i, (a, n) in enumerate(sizes.items())}
        grown |= {"B": _BATCH} if "B" in sizes else {}
        inputs = draw(model.inputs, grown, mask=mask, seed=seed + number)
        padding = "right" if mask_targets and number % 2 else "none"
        target = draw(model.inputs, grown, mask=padding, seed=seed + number)
        own = decoder.per_step
        inputs |= {port.name: target[port.name] for port in own}
        handed = run_encoder({port.name: inputs[port.name] for port in encoder.inputs})
        time = next(inputs[p.name].shape[1] for p in own if "T" in p.shape)
        rng = np.random.default_rng(seed + number)
        ways = {"chunks": random_lengths(time, rng), "steps": [1] * time}
        label = "" if mask == "none" else f"{mask} mask, "
        shape = in_words(grown)
        for way, lengths in ways.items():
            name = f"hand-off, {label}{shape} in {len(lengths)} {way}"
            found.append(Cut(name, {**inputs, **handed}, lengths))
    return found
