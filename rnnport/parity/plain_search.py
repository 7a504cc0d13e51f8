"""Greedy and beam search as anybody would write them over encoder and decoder, to prove others by.

Each source is searched by itself, but the decoder takes the rows of all together, B·K of them in
every step, dead ones too. The beam search is the one that runtime/beam.py specifies, without its
early ends. Axis letters: B sources, K beams, V vocabulary, N steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.parity.streaming import first_states
from rnnport.parity.subject import Run
from rnnport.spec import Form, Generate

__all__ = ["ENDED", "Halves", "plain_beam", "plain_greedy"]

ENDED = -1

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Halves:
    """Encoder and decoder.

    Attributes:
        encode: runs the encoder.
        decode: runs the decoder.
        form: the decoder's.
        scores: the decoder's output that scores tokens.
    """

    encode: Run
    decode: Run
    form: Form
    scores: str

    def first(self, start: int, inputs: Arrays) -> Array:
        """Scores (B, V) after the start."""
        rows = Rows.begin(self, inputs, 1)
        return rows.step(np.full(rows.count, start))


@dataclass
class Rows:
    """Rows of the decoder.

    Attributes:
        halves: what runs.
        count: how many rows.
        context: (rows, …) each.
        states: (rows, …) each.
    """

    halves: Halves
    count: int
    context: dict[str, Array]
    states: dict[str, Array]

    @classmethod
    def begin(cls, halves: Halves, inputs: Arrays, beams: int) -> Rows:
        """Encode sources; each becomes so many rows."""
        batch = len(next(iter(inputs.values())))
        handed = {n: np.repeat(a, beams, axis=0) for n, a in halves.encode(inputs).items()}
        context = {name: handed[name] for name in halves.form.fixed}
        states = first_states(halves.form, handed, batch * beams)
        return cls(halves, batch * beams, context, states)

    def step(self, tokens: Array) -> Array:
        """Scores (rows, V) after tokens (rows,)."""
        form = self.halves.form
        (own,) = form.per_step
        shape = (self.count, *(1 for _ in own.shape[1:]))
        fed = {own.name: tokens.reshape(shape).astype(own.dtype)}
        given = self.halves.decode({**fed, **self.context, **self.states})
        self.states = {s.input: given[s.output] for s in form.states}
        return np.asarray(given[self.halves.scores]).reshape(self.count, -1)

    def reorder(self, rows: Array) -> None:
        """Row i goes on from row rows[i]."""
        self.states = {name: state[rows] for name, state in self.states.items()}


def plain_greedy(wish: Generate, halves: Halves, inputs: Arrays) -> Ids:
    """Tokens (B, N), ENDED in place of a stop and after it, all rows until the last has stopped."""
    rows = Rows.begin(halves, inputs, 1)
    tokens = np.full(rows.count, wish.start)
    ended = np.zeros(rows.count, bool)
    steps: list[Ids] = []
    while len(steps) < wish.max_steps and not ended.all():
        best = rows.step(tokens).argmax(-1)
        ended = ended | np.isin(best, wish.stops)
        steps.append(np.where(ended, ENDED, best))
        tokens = np.where(ended, wish.start, best)
    return np.stack(steps, axis=1)


@dataclass
class _Source:
    """The search of one source.

    Attributes:
        totals: log probabilities of the live hypotheses, best first.
        tokens: of the live hypotheses.
        finished: scores and tokens, in the order they were finished.
    """

    totals: list[float] = field(default_factory=lambda: [0.0])
    tokens: list[list[int]] = field(default_factory=lambda: [[]])
    finished: list[tuple[float, list[int]]] = field(default_factory=list)

    def best(self) -> tuple[float, list[int]]:
        """The highest score, of equals the first; nothing where nothing is finished."""
        return max(self.finished, key=lambda one: one[0], default=(-np.inf, [ENDED]))


def plain_beam(
    wish: Generate, halves: Halves, inputs: Arrays, *, logits: bool
) -> tuple[Ids, NDArray[np.float64]]:
    """Tokens (B, N) as of plain_greedy, of the best hypotheses; and their scores (B,)."""
    width = wish.beam_width
    rows = Rows.begin(halves, inputs, width)
    sources = [_Source() for _ in range(rows.count // width)]
    tokens = np.full(rows.count, wish.start)
    for step in range(wish.max_steps):
        scores = rows.step(tokens).reshape(len(sources), width, -1)
        last = step + 1 == wish.max_steps
        found = [
            _advance(source, logs, wish, last=last)
            for source, logs in zip(sources, _logs(scores, logits), strict=True)
        ]
        picked = np.array([beams + [0] * (width - len(beams)) for beams in found])
        rows.reorder((picked + width * np.arange(len(sources))[:, None]).ravel())
        tokens = np.array([token for source in sources for token in _fed(source, width)])
        if not any(source.totals for source in sources):
            break
    best = [source.best() for source in sources]
    return _table([ids for _, ids in best], wish.stops), np.array([score for score, _ in best])


def _logs(scores: Array, logits: bool) -> Array:
    """Log probabilities, (…, V) float64."""
    wide = scores.astype(np.float64)
    if not logits:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(wide.clip(0, 1)))
    top = wide.max(axis=-1, keepdims=True)
    return np.asarray(wide - (np.log(np.exp(wide - top).sum(axis=-1, keepdims=True)) + top))


def _advance(source: _Source, logs: Array, wish: Generate, *, last: bool) -> list[int]:
    """Take a step; which live hypotheses the new ones continue."""
    totals: list[float] = []
    tokens: list[list[int]] = []
    beams: list[int] = []
    for rank, (total, token, beam) in enumerate(_ranked(source.totals, logs, wish)):
        if token in wish.stops and rank < wish.beam_width:
            source.finished.append(_end(total, [*source.tokens[beam], token], wish))
        if token not in wish.stops and len(totals) < wish.beam_width:
            totals.append(total)
            tokens.append([*source.tokens[beam], token])
            beams.append(beam)
    if last:
        source.finished += [_end(*pair, wish) for pair in zip(totals, tokens, strict=True)]
    over = last or len(source.finished) >= wish.beam_width
    source.totals, source.tokens = ([], []) if over else (totals, tokens)
    return [] if over else beams


def _ranked(
    totals: Sequence[float], logs: Array, wish: Generate
) -> Iterator[tuple[float, int, int]]:
    """The best continuations: the highest total, then the lowest token, then the lowest beam."""
    if not totals:
        return
    # By token, then by beam, so that a stable sort keeps that order among equals.
    flat = (np.array(totals)[:, None] + logs[: len(totals)]).T.ravel()
    count = min(len(flat), wish.beam_width * (1 + len(wish.stops)))
    near = np.flatnonzero(flat >= np.partition(flat, -count)[-count])
    for place in near[np.argsort(-flat[near], kind="stable")][:count]:
        if flat[place] > -np.inf:
            yield float(flat[place]), int(place // len(totals)), int(place % len(totals))


def _end(total: float, tokens: list[int], wish: Generate) -> tuple[float, list[int]]:
    return total / ((5 + len(tokens)) / 6) ** wish.length_penalty, tokens


def _fed(source: _Source, width: int) -> list[int]:
    tokens = [one[-1] for one in source.tokens]
    return tokens + [0] * (width - len(tokens))


def _table(rows: Sequence[list[int]], stops: Sequence[int]) -> Ids:
    table = np.full((len(rows), max(map(len, rows))), ENDED)
    for row, ids in zip(table, rows, strict=True):
        row[: len(ids)] = [ENDED if token in stops else token for token in ids]
    return table
