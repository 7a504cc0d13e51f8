"""Generator: from sources to tokens or numbers, by whichever search was asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.errors import InputError, Reason, UsageError
from rnnport.runtime.beam import Beam, beam_search
from rnnport.runtime.decode_plan import DecodePlan
from rnnport.runtime.decode_rows import DecodeRows
from rnnport.runtime.ending import Ending
from rnnport.runtime.forecast import Feedback, check_feedback, first_input, forecast
from rnnport.runtime.form_sessions import FormSessions
from rnnport.runtime.generate_checks import Request, check_forecaster, check_request
from rnnport.runtime.greedy import greedy, greedy_alone
from rnnport.runtime.hand_off import HandOff, encode, prefill
from rnnport.runtime.hypotheses import Hypothesis
from rnnport.runtime.prompts import prompt_array, read_prompts
from rnnport.runtime.sampling import Chances, Draws, sampling
from rnnport.runtime.scores import Scale, length_divisor
from rnnport.runtime.sources import Sources, bind_sources, read_sources
from rnnport.runtime.stream_checks import check_count
from rnnport.runtime.walk import ENDED, Tally, walk
from rnnport.runtime.whole_loop import WholeLoop
from rnnport.spec import FixedAxis

__all__ = ["Generator"]

Array = NDArray[Any]
Ids = NDArray[np.int64]
Index = NDArray[np.intp]


class Generator:
    """Decodes sources. Safe for calls from several threads.

    Args:
        plan: of the decoder.
        decoder: sessions of the decoder.
        encoder: sessions of the encoder, where there is one.
        fixed_axes: the manifest's.
        loop: generate.onnx, where it is worth it.
    """

    def __init__(
        self,
        plan: DecodePlan,
        decoder: FormSessions,
        encoder: FormSessions | None,
        fixed_axes: list[FixedAxis],
        loop: WholeLoop | None = None,
    ) -> None:
        self.plan = plan
        self._decoder, self._encoder = decoder, encoder
        self._fixed_axes = fixed_axes
        self._loop = loop

    def generate(
        self, source: Any, request: Request, *, scored: bool = True
    ) -> list[list[Hypothesis]]:
        """For each source its hypotheses, best first; their ids end with the stop, if any came.

        Args:
            source: as Runner.generate takes it.
            request: what to do.
            scored: whether scores are wanted; without a beam they cost time.

        Raises:
            UsageError: keywords that cannot be meant.
            InputError: sources that do not fit.
        """
        check_request(self.plan, request)
        sources = self._sources(source, request.start, tokens=True)
        found: list[list[Hypothesis]] = [[] for _ in range(len(sources))]
        for rows, results in self._decoded(sources, request, scored):
            for i, hypotheses in zip(rows, results, strict=True):
                found[i] = hypotheses
        return found

    def _decoded(
        self, sources: Sources, request: Request, scored: bool
    ) -> Iterator[tuple[Index, list[list[Hypothesis]]]]:
        """Some sources after the other: which they are, and their hypotheses."""
        loop, seed = self._loop, _seed(request)
        if loop is not None and not loop.suits(request, scored=scored):
            loop = None
        for index in sources.slices(request.batch_size):
            batches = list(sources.batches(index))
            # Sources that cannot share a run of the encoder can share the decoder's steps.
            if loop is not None and len(batches) == 1:
                ((rows, arrays),) = batches
                yield rows, loop.run(arrays)
                continue
            for part in self._begin(batches):
                yield part.sources, self._decode(part, request, seed, scored)

    def stream(self, source: Any, request: Request) -> Iterator[Ids]:
        """Ids (B,) step by step; everything is checked, and the encoder has run, on return.

        Raises:
            UsageError: as in generate.
            InputError: as in generate; also sources that cannot share a batch.
        """
        check_request(self.plan, request)
        sources = self._sources(source, request.start, tokens=True)
        parts = self._begin(sources.batches(np.arange(len(sources))))
        if len(parts) > 1:
            raise InputError.of(
                "sources",
                f"{len(parts)} different lengths",
                "one length: padding would change what the decoder reads of a source",
                "stream one source at a time, or use runner.generate",
            )
        return self._stream(parts[0], request, _seed(request))

    def forecast(
        self, source: Any, start: Any, steps: int, feedback: Feedback | None, batch_size: int
    ) -> Array:
        """Outputs (B, steps, F).

        Raises:
            UsageError: keywords that cannot be meant.
            InputError: sources, start or feedback that do not fit.
        """
        plan = self.plan
        check_forecaster(plan)
        check_count("steps", steps)
        check_count("batch_size", batch_size)
        check_feedback(plan, feedback if steps > 1 else lambda output, step: output)
        if reasons := list(_start_reasons(plan, start)):
            raise UsageError(*reasons)
        sources = self._sources(source, None, tokens=False)
        starts = None if start is None else first_input(plan, start, len(sources))
        found: list[Array] = [np.zeros(0)] * len(sources)
        for index in sources.slices(batch_size):
            for part in self._begin(sources.batches(index)):
                fed = None if starts is None else starts[part.sources]
                decoder, first = self._open(part, fed)
                outputs = forecast(plan, decoder, first, steps, feedback)
                for i, output in zip(part.sources, outputs, strict=True):
                    found[i] = output
        return np.stack(found)

    def _sources(self, source: Any, start: int | None, *, tokens: bool) -> Sources:
        plan = self.plan
        given = bind_sources(plan.sources, plan.structure, source)
        if plan.encoder is None:
            return read_prompts(plan, given, start, tokens=tokens)
        pads = plan.encoder.pads
        return read_sources(plan.sources, given, fixed_axes=self._fixed_axes, pads=pads)

    def _begin(self, batches: Iterable[tuple[Index, dict[str, Array]]]) -> list[HandOff]:
        """Run the encoder, or the prompts, of some sources; as few parts as can be."""
        plan = self.plan
        parts = []
        for rows, arrays in batches:
            if self._encoder is not None:
                parts.append(encode(plan, self._encoder, rows, arrays))
            else:
                prompt = prompt_array(plan, arrays.pop(plan.step.name))
                parts.append(prefill(plan, self._decoder, rows, prompt, arrays))
        return HandOff.join(parts)

    def _open(self, part: HandOff, fed: Array | None) -> tuple[DecodeRows, Array]:
        """A decoder of these rows, and what it gave last."""
        rows = DecodeRows(self.plan, self._decoder, len(part), part.states, part.context)
        if part.output is not None:
            return rows, part.output
        assert fed is not None
        return rows, rows.step(fed)

    def _open_tokens(self, part: HandOff, request: Request) -> tuple[DecodeRows, Array]:
        # After a prompt the start has been fed already, before it.
        start = -1 if request.start is None else request.start
        return self._open(part, np.full(len(part), start, np.int64))

    def _decode(
        self, part: HandOff, request: Request, seed: int, scored: bool
    ) -> list[list[Hypothesis]]:
        if request.beam_width > 1:
            decoder, first = self._open_tokens(part, request)
            beam = Beam(request.beam_width, request.length_penalty, request.n_best or 1)
            scale = Scale.of(first, request.logits)
            return beam_search(decoder, first, beam, scale, self._ending(request))
        tally = Tally(len(part)) if scored else None
        told = np.stack(list(self._walk(part, request, seed, tally)), axis=1)
        rows = [row[row != ENDED] for row in told]
        if tally is None:
            return [[Hypothesis(0.0, ids)] for ids in rows]
        alpha = request.length_penalty
        return [
            [Hypothesis(float(total) / length_divisor(len(ids), alpha), ids)]
            for total, ids in zip(tally.sums, rows, strict=True)
        ]

    def _stream(self, part: HandOff, request: Request, seed: int) -> Iterator[Ids]:
        """What walk yields, without stops, in the order of the sources."""
        place = np.argsort(part.sources)
        stops = list(request.stops)
        for ids in self._walk(part, request, seed, None):
            ids[np.isin(ids, stops)] = ENDED
            if (ids != ENDED).any():
                yield ids[place]

    def _walk(
        self, part: HandOff, request: Request, seed: int, tally: Tally | None
    ) -> Iterator[Ids]:
        decoder, first = self._open_tokens(part, request)
        scale, ending = Scale.of(first, request.logits), self._ending(request)
        if request.samples:
            given = request.temperature, request.top_k, request.top_p
            chances = Chances(1.0 if given[0] is None else given[0], given[1], given[2])
            first_number = int(request.first_source)
            draws = [Draws(seed, first_number + int(source)).at for source in part.sources]
            return walk(
                decoder, first, sampling(chances, scale, ending, draws), ending, scale, tally
            )
        if len(part) == 1 and tally is None:
            return greedy_alone(decoder, first, ending)
        return walk(decoder, first, greedy(ending), ending, scale, tally)

    def _ending(self, request: Request) -> Ending:
        return Ending(
            request.stops, self.plan.vocabulary, int(request.max_steps), int(request.min_steps)
        )


def _seed(request: Request) -> int:
    if request.seed is not None:
        return int(request.seed)
    return int.from_bytes(os.urandom(16), "little")


def _start_reasons(plan: DecodePlan, start: Any) -> Iterator[Reason]:
    expected = f"numbers ({plan.width},), which the decoder is fed first"
    if start is None and plan.encoder is not None:
        yield Reason("start", "None", expected, "pass start=")
    if start is not None and plan.encoder is None:
        expected = "None: the source's last step is fed first"
        yield Reason("start", "numbers", expected, "append them to the source")
