"""generate.onnx: the whole decode loop in one graph, held against a plain loop over the halves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rnnport.building import Built, write_form
from rnnport.errors import NotYetAvailable, Reason, UsageError
from rnnport.graph.finish import describe
from rnnport.graph.generate import ENDED, IDS, greedy_graph
from rnnport.parity.compare import compare
from rnnport.parity.streaming import first_states
from rnnport.parity.verify import Run, run_form
from rnnport.samples import MASK_KINDS, draw, masks_anything
from rnnport.spec import Check, Form, Generate, Port
from rnnport.versions import VERSION

__all__ = ["GENERATE_FILE", "build_generate", "check_wish"]

GENERATE_FILE = "generate.onnx"

Arrays = Mapping[str, NDArray[Any]]


def check_wish(wish: Any) -> None:
    """Refuse what no model could do.

    Raises:
        UsageError: steps, width or stop that make no sense.
        NotYetAvailable: a beam.
    """
    if not isinstance(wish, Generate):
        received = type(wish).__name__
        remedy = "pass rnnport.Generate(start=…, stop=…, max_steps=…)"
        raise UsageError.of("generate", received, "rnnport.Generate", remedy)
    reasons = []
    if wish.max_steps < 1:
        reasons.append(Reason("generate", f"max_steps {wish.max_steps}", "at least 1", "raise it"))
    if wish.beam_width < 1:
        received = f"beam_width {wish.beam_width}"
        reasons.append(Reason("generate", received, "at least 1", "1 is greedy"))
    if not wish.stops:
        reasons.append(Reason("generate", "no stop", "a token that ends a row", "name one"))
    if reasons:
        raise UsageError(*reasons)
    if wish.beam_width > 1:
        raise NotYetAvailable.of(
            "generate",
            f"beam_width {wish.beam_width}",
            "1 in this version",
            "use runner.generate(…, beam_width=…)",
        )


def build_generate(
    wish: Generate,
    encoder: tuple[ir.Model, Form],
    decoder: tuple[ir.Model, Form],
    built: Built,
    folder: Path,
) -> tuple[Form, list[Check]]:
    """Write generate.onnx and compare its tokens with a plain loop's.

    Args:
        wish: what was asked for.
        encoder: its lowered graph and form.
        decoder: likewise.
        built: the whole model.
        folder: holds encoder.onnx and decoder.onnx, receives generate.onnx.

    Raises:
        UsageError: tokens outside the vocabulary, or a decoder that does not give tokens.
    """
    _check_tokens(wish, decoder[1])
    model = greedy_graph(encoder[0].clone(), decoder[0].clone(), decoder[1], wish)
    inputs = encoder[1].inputs
    outputs = [Port(name=IDS, dtype="int64", shape=["B", "N"])]
    facts = dict(encoder[0].metadata_props) | {
        "rnnport.generate": f"start {wish.start}, stop {wish.stops}, max_steps {wish.max_steps}"
    }
    describe(model, inputs, outputs, facts, VERSION)
    form = write_form(model, folder / GENERATE_FILE, inputs, outputs)
    return form, _prove(wish, encoder[1], decoder[1], form, built, folder)


def _check_tokens(wish: Generate, decoder: Form) -> None:
    own = decoder.per_step
    vocabulary = decoder.outputs[0].shape[-1]
    tokens = len(own) == 1 and own[0].dtype.startswith("int") and len(own[0].shape) == 2
    if not tokens or not isinstance(vocabulary, int):
        raise UsageError.of(
            "generate",
            f"a decoder with inputs {', '.join(p.name for p in own)}",
            "one input of token ids, and scores of a known vocabulary",
            "leave generate out and use the decoder yourself",
        )
    known = own[0].sampling.high if own[0].sampling is not None else vocabulary
    wrong = [
        Reason("generate", f"{name} {token}", f"0 to {high - 1}", "name a token of the vocabulary")
        for name, token, high in (
            ("start", wish.start, known),
            *(("stop", stop, vocabulary) for stop in wish.stops),
        )
        if not 0 <= token < high
    ]
    if wrong:
        raise UsageError(*wrong)


def _prove(
    wish: Generate, encoder: Form, decoder: Form, form: Form, built: Built, folder: Path
) -> list[Check]:
    run, *halves = (run_form(folder / f.record.file, f) for f in (form, encoder, decoder))
    kinds = MASK_KINDS if masks_anything(encoder.inputs) else ("none",)
    checks = []
    for seed, mask in enumerate(kinds):
        sizes = {a: 5 + seed + i for i, a in enumerate(_letters(encoder.inputs))} | {"B": 4}
        smallest = max(built.plan.sizes.values(), default=1)
        sizes = {a: n if a == "B" else n + smallest for a, n in sizes.items()}
        inputs = draw(encoder.inputs, sizes, mask=mask, seed=seed)
        name = f"generate, {mask} mask, {' '.join(f'{a}={n}' for a, n in sizes.items())}"
        expected = _plain_loop(wish, decoder, halves, inputs)
        received = run(inputs)[IDS]
        checks.append(compare(name, IDS, expected, received, 0.0))
    return checks


def _letters(ports: Sequence[Port]) -> list[str]:
    return list(dict.fromkeys(a for p in ports for a in p.shape if isinstance(a, str)))


def _plain_loop(
    wish: Generate, decoder: Form, halves: Sequence[Run], inputs: Arrays
) -> NDArray[np.int64]:
    """The loop as anybody would write it, all rows until the last has stopped."""
    run_encoder, run_decoder = halves
    handed = run_encoder(inputs)
    batch = len(next(iter(inputs.values())))
    states = first_states(decoder, handed, batch)
    (own,) = decoder.per_step
    context = {name: handed[name] for name in decoder.fixed}
    tokens = np.full(batch, wish.start, np.int64)
    ended = np.zeros(batch, bool)
    steps: list[NDArray[np.int64]] = []
    while len(steps) < wish.max_steps and not ended.all():
        given = run_decoder({own.name: tokens[:, None].astype(own.dtype), **context, **states})
        states = {s.input: given[s.output] for s in decoder.states}
        best = given[decoder.outputs[0].name].reshape(batch, -1).argmax(-1)
        ended = ended | np.isin(best, wish.stops)
        steps.append(np.where(ended, ENDED, best))
        tokens = np.where(ended, wish.start, best)
    return np.stack(steps, axis=1)
