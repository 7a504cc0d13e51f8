"""generate.onnx: the whole decode loop in one graph, held against a plain loop over the halves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx_ir as ir

from rnnport.building import Built, write_form
from rnnport.errors import NotGenerative, Reason, UsageError
from rnnport.graph.decode_loop import IDS
from rnnport.graph.finish import describe
from rnnport.graph.generate import greedy_graph
from rnnport.graph.generate_beam import SCORES, beam_graph
from rnnport.parity.checks.generation import compare_searches, scale_of, search_cases
from rnnport.parity.plain_search import Halves
from rnnport.parity.subject import run_form
from rnnport.spec import Check, Form, Generate, Port
from rnnport.step_ports import is_odd, last_size, scored_output, step_time
from rnnport.versions import VERSION

__all__ = ["GENERATE_FILE", "build_generate"]

GENERATE_FILE = "generate.onnx"


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
        UsageError: tokens outside the vocabulary, more beams than it has tokens, or a decoder that
            does not give tokens.
    """
    scores = _scores(wish, decoder[1])
    runs = [run_form(folder / form.record.file, form) for _, form in (encoder, decoder)]
    halves = Halves(runs[0], runs[1], decoder[1], scores.name)
    cases = search_cases(encoder[1].inputs, max(built.plan.sizes.values(), default=1))
    graphs, form = (encoder[0].clone(), decoder[0].clone()), decoder[1]
    inputs = encoder[1].inputs
    outputs = [Port(name=IDS, dtype="int64", shape=["B", "N"])]
    logits = scale_of(wish, halves, cases).logits
    if wish.beam_width > 1:
        model = beam_graph(*graphs, form, wish, logits=logits)
        outputs.append(Port(name=SCORES, dtype="float64", shape=["B"]))
    else:
        model = greedy_graph(*graphs, form, wish)
    describe(model, inputs, outputs, _facts(wish, encoder[0]), VERSION)
    written = write_form(model, folder / GENERATE_FILE, inputs, outputs)
    run = run_form(folder / GENERATE_FILE, written)
    return written, compare_searches(wish, logits, halves, run, cases)


def _facts(wish: Generate, encoder: ir.Model) -> dict[str, str]:
    told = f"start {wish.start}, stop {wish.stops}, max_steps {wish.max_steps}"
    if wish.beam_width > 1:
        told += f", beam_width {wish.beam_width}, length_penalty {wish.length_penalty:g}"
    if wish.output:
        told += f", output {wish.output}"
    return dict(encoder.metadata_props) | {"rnnport.generate": told}


def _scores(wish: Generate, decoder: Form) -> Port:
    """The output that scores tokens, once it is sure that they are tokens."""
    own = decoder.per_step
    if len(own) != 1:
        received = f"{len(own)} decoder inputs given anew for every step: {_shown(own)}"
        raise _no_tokens(received, "exactly one: the last token")
    (step,) = own
    if not step.is_ids or is_odd(step, False, step_time(step)):
        received = f"decoder input {_shown(own)}, which is no token id for every row and step"
        raise _no_tokens(received, "token ids (B, T) or (B,), integers or what an Embedding reads")
    try:
        scores = scored_output(decoder, wish.output)
    except NotGenerative as error:
        remedy = "pass Generate(…, output=) with the name of one of them"
        reasons = (Reason("generate", r.received, r.expected, remedy) for r in error.reasons)
        raise UsageError(*reasons) from None
    vocabulary = last_size(scores)
    if vocabulary is None or is_odd(scores, True, step_time(step)):
        received = f"decoder output {_shown([scores])}, which scores no known vocabulary"
        raise _no_tokens(received, "scores (B, T, V) or (B, V)")
    # As the runtime has it: a smaller vocabulary could not be fed what the decoder gives.
    known = max(vocabulary, 0 if step.sampling is None else step.sampling.high)
    if wrong := list(_vocabulary_reasons(wish, known, vocabulary)):
        raise UsageError(*wrong)
    return scores


def _no_tokens(received: str, expected: str) -> UsageError:
    remedy = "leave generate out and use the decoder yourself"
    return UsageError.of("generate", received, expected, remedy)


def _shown(ports: Sequence[Port]) -> str:
    shown = (f"{p.name} {p.dtype} ({', '.join(map(str, p.shape))})" for p in ports)
    return ", ".join(shown) or "none"


def _vocabulary_reasons(wish: Generate, known: int, vocabulary: int) -> Iterator[Reason]:
    named = [("start", wish.start, known), *(("stop", stop, vocabulary) for stop in wish.stops)]
    for name, token, high in named:
        if not 0 <= token < high:
            remedy = "name a token of the vocabulary"
            yield Reason("generate", f"{name} {token}", f"0 to {high - 1}", remedy)
    if wish.beam_width > vocabulary:
        expected = f"at most {vocabulary}, the size of the vocabulary"
        yield Reason("generate", f"beam_width {wish.beam_width}", expected, "lower it")
