"""generate.onnx against a plain loop over the two halves, token for token (DESIGN.md, law 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rnnport.parity.compare import compare
from rnnport.parity.plain_search import Halves, plain_beam, plain_greedy
from rnnport.parity.subject import Run, Subject
from rnnport.parity.tolerance import TOLERANCES
from rnnport.runtime.scores import Scale
from rnnport.samples import MASK_KINDS, draw, in_words, masks_anything
from rnnport.spec import Check, Generate, Port
from rnnport.step_ports import scored_output

__all__ = ["IDS", "SCORES", "check_generation", "compare_searches", "scale_of", "search_cases"]

Arrays = Mapping[str, NDArray[Any]]
Cases = Sequence[tuple[str, Arrays]]

IDS, SCORES = "ids", "scores"
"""Outputs of generate.onnx."""

_SEED = 130_000
_ROWS = 4


def check_generation(subject: Subject) -> list[Check]:
    """Both searches on sources masked in every way the encoder knows."""
    wish, forms = subject.manifest.generate, subject.manifest.forms
    if wish is None or not {"encoder", "decoder", "generate"} <= set(forms):
        return []
    encoder, decoder = forms["encoder"], forms["decoder"]
    scores = scored_output(decoder, wish.output).name
    halves = Halves(subject.form("encoder"), subject.form("decoder"), decoder, scores)
    smallest = max(4, *subject.smallest.values())
    cases = search_cases(encoder.inputs, smallest, _SEED + subject.seed)
    logits = scale_of(wish, halves, cases).logits
    return compare_searches(wish, logits, halves, subject.form("generate"), cases)


def scale_of(wish: Generate, halves: Halves, cases: Cases) -> Scale:
    """Whether the decoder gives logits or probabilities, seen on these sources."""
    if wish.beam_width == 1:
        return Scale(logits=True)
    return Scale.of(np.concatenate([halves.first(wish.start, x) for _, x in cases]), None)


def search_cases(
    inputs: Sequence[Port], smallest: int, seed: int = 0
) -> list[tuple[str, dict[str, Any]]]:
    """Sources with every kind of mask the encoder knows, by a name.

    Args:
        inputs: the encoder's.
        smallest: a length it takes.
        seed: the same seed draws the same.
    """
    kinds = MASK_KINDS if masks_anything(inputs) else ("none",)
    letters = list(dict.fromkeys(a for p in inputs for a in p.shape if isinstance(a, str)))
    cases = []
    for number, mask in enumerate(kinds):
        sizes = {a: 5 + number + i + smallest for i, a in enumerate(letters)} | {"B": _ROWS}
        told = in_words(sizes)
        name = f"generate, {mask} mask, {told}"
        cases.append((name, draw(inputs, sizes, mask=mask, seed=seed + number)))
    return cases


def compare_searches(
    wish: Generate, logits: bool, halves: Halves, run: Run, cases: Cases
) -> list[Check]:
    """Tokens must be equal, and scores of beams to the streaming bound.

    Args:
        wish: what generate.onnx does.
        logits: what the decoder gives, for beams.
        halves: encoder and decoder.
        run: generate.onnx.
        cases: name and source.
    """
    checks = []
    for name, inputs in cases:
        received = run(inputs)
        if wish.beam_width == 1:
            ids = plain_greedy(wish, halves, inputs)
        else:
            ids, scores = plain_beam(wish, halves, inputs, logits=logits)
            checks.append(compare(name, SCORES, scores, received[SCORES], TOLERANCES["stream"]))
        checks.append(compare(name, IDS, ids, received[IDS], 0.0))
    return [msgspec.structs.replace(check, kind="generation") for check in checks]
