"""Generation: the methods of a Runner that go on from a model's own output."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.forecast import Feedback
from rnnport.runtime.generate_checks import Request
from rnnport.runtime.generator import Generator
from rnnport.runtime.hypotheses import Hypothesis

__all__ = ["Generation"]

Ids = NDArray[np.int64]
Stop = int | Collection[int] | None


class Generation:
    """What a Runner can do with an encoder and a decoder, or with a stream form."""

    def _generator(self, output: str = "") -> Generator:
        raise NotImplementedError

    def generate(
        self,
        source: Any,
        *,
        start: int | None = None,
        stop: Stop,
        max_steps: int,
        beam_width: int = 1,
        length_penalty: float = 0.0,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        min_steps: int = 0,
        n_best: int | None = None,
        return_scores: bool = False,
        logits: bool | None = None,
        batch_size: int = 128,
        output: str = "",
        first_source: int = 0,
    ) -> Any:
        """Generate a sequence of tokens from each source.

        Greedy search by default; beam search where beam_width is above 1 (beam.py says exactly
        how); sampling where temperature, top_k, top_p or seed is given.

        Args:
            source: what Runner.run would take for the encoder's inputs, one array or several in a
                tuple or dict; or a list of arrays (S,) or (S, F), one a source, of any lengths.
                They are padded where export saw that padding changes nothing (the encoder's `pads`
                in the manifest); elsewhere only sources of one length share a batch.
                Where there is no encoder: prompts, ids (P,) each.
            start: the id fed first; a prompt needs none, and where one is given it comes before
                each prompt, which may be empty then.
            stop: the id that ends a sequence, or a set of them; None goes on to max_steps.
            max_steps: the most tokens, stop included.
            beam_width: hypotheses kept for each source.
            length_penalty: alpha in ((5 + length) / 6) ** alpha, by which a hypothesis' log
                probability is divided (Wu et al. 2016, equation 14; length counts the stop).
            temperature: log probabilities are divided by it before sampling.
            top_k: sample from the k most probable tokens only.
            top_p: sample from the fewest most probable tokens that together have this chance.
            seed: the same seed draws the same tokens from a source of the same number, whichever
                others are with it.
            min_steps: so many tokens come before a stop may.
            n_best: return so many hypotheses for each source; at most beam_width.
            return_scores: return (ids, scores).
            logits: whether the decoder gives logits; None looks at the first step: rows without
                negative scores that sum to 1 are probabilities.
            batch_size: the most sources decoded at once.
            output: the decoder's output that scores the tokens, where there are several; "" takes
                the one that is as wide as the vocabulary fed in.
            first_source: the number of the first source, for sources that come in several calls:
                with a seed they are drawn as in one.

        Returns:
            A list of int64 arrays (n,), one a source, without start, prompt and stop; with n_best
            a list of such arrays for each, best first, fewer where there are fewer. The scores are
            float64 (B,), with n_best a list of arrays: the log probability of the tokens, stop
            included, over the length penalty.

        Raises:
            NotGenerative: nothing in the model can be fed its own tokens, or which output scores
                them is not clear; says why.
            UsageError: keywords that cannot be meant; lists everything that is wrong.
            InputError: sources that do not fit, say which.
        """
        request = Request(
            start=start,
            stop=stop,
            max_steps=max_steps,
            min_steps=min_steps,
            beam_width=beam_width,
            length_penalty=length_penalty,
            n_best=n_best,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            logits=logits,
            batch_size=batch_size,
            first_source=first_source,
        )
        found = self._generator(output).generate(source, request, scored=return_scores)
        ids = [[_without_stop(one, request.stops) for one in ones] for ones in found]
        scores = [np.array([one.score for one in ones]) for ones in found]
        if n_best is not None:
            return (ids, scores) if return_scores else ids
        first = [ones[0] for ones in ids]
        return (first, np.array([ones[0] for ones in scores])) if return_scores else first

    def generate_stream(
        self,
        source: Any,
        *,
        start: int | None = None,
        stop: Stop,
        max_steps: int,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        min_steps: int = 0,
        output: str = "",
    ) -> Iterator[Ids]:
        """Generate as generate does, and give every step's tokens at once.

        Args:
            source: as in generate; all sources are decoded together.
            start: as in generate.
            stop: as in generate.
            max_steps: as in generate.
            temperature: as in generate.
            top_k: as in generate.
            top_p: as in generate.
            seed: as in generate.
            min_steps: as in generate.
            output: as in generate.

        Returns:
            An iterator of int64 arrays (B,): the tokens of a step, -1 where a sequence has ended;
            its stop is not among them.

        Raises:
            NotGenerative: as in generate.
            UsageError: as in generate.
            InputError: as in generate; also sources of unequal length whose every step the decoder
                reads, where padding is not known to change nothing.
        """
        request = Request(
            start=start,
            stop=stop,
            max_steps=max_steps,
            min_steps=min_steps,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
        )
        return self._generator(output).stream(source, request)

    def forecast(
        self,
        source: Any,
        *,
        start: Any = None,
        steps: int,
        feedback: Feedback | None = None,
        batch_size: int = 128,
        output: str = "",
    ) -> NDArray[Any]:
        """Go on with numbers: each output is the next input.

        Args:
            source: as in generate; where there is no encoder, the steps so far, (P, F) each.
            start: what the decoder is fed first, (F,) or (B, F); None where there is no encoder.
            steps: how many outputs.
            feedback: makes the next input (B, F') of an output (B, F) and its number, from 0. It is
                called for a batch of sources; pass a batch_size that holds all where it matters.
            batch_size: the most sources decoded at once.
            output: the output that is wanted and fed back, where there are several; "" takes the
                one that is as wide as what is fed in.

        Returns:
            (B, steps, F).

        Raises:
            NotGenerative: nothing in the model can be fed its own output, or it takes ids.
            UsageError: keywords that cannot be meant.
            InputError: source, start, or what feedback gave does not fit.
        """
        return self._generator(output).forecast(source, start, steps, feedback, batch_size)


def _without_stop(one: Hypothesis, stops: tuple[int, ...]) -> Ids:
    ended = len(one.ids) > 0 and int(one.ids[-1]) in stops
    return one.ids[:-1] if ended else one.ids
