"""A published encoder-decoder, cut in two by rnnport, says how English words sound.

The model is g2p-en's: a GRU reads a word's letters, a second one starts from its state and gives
phonemes. Its weights, which came with numpy code, go into one teacher-forced Keras model; rnnport
exports that and finds the cut by itself. What Runner.generate says of CMUdict's words must be,
phoneme by phoneme, what the published formula says, computed here in plain numpy.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fetch import Unavailable
from g2p_account import Forced, about, errors, examples, pace, sameness
from g2p_keras_loop import padded
from g2p_model import (
    MAX_STEPS,
    Symbols,
    numpy_logits,
    read_symbols,
    read_weights,
    rebuild,
    symbols_file,
    weights_file,
)
from g2p_race import BATCH, Ids, in_numpy, race
from g2p_words import Dictionary, Rate, cmudict_file, error_rate, read_dictionary, sample
from numpy.typing import NDArray
from printing import section
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

import rnnport
from rnnport.cli.quiet import load_exporter

if TYPE_CHECKING:
    from rnnport.artifact.load import Artifact

ROOT = Path(__file__).resolve().parents[1]
ARTIFACT = Path(".cache") / "g2p" / "artifact"
EXAMPLES = ("knight", "telescope", "phoneme", "recurrent", "supernova", "activationist")
WORDS, BEAM = 2000, 5
TENSORFLOW = 1e-5  # times the largest logit

Array = NDArray[Any]


@dataclass(frozen=True)
class Published:
    """What the packages hold."""

    weights: dict[str, Array]
    symbols: Symbols
    dictionary: Dictionary


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="*", default=EXAMPLES, help="words to say, letters a-z")
    words = [word.lower() for word in parser.parse_args().words]
    if wrong := [word for word in words if not re.fullmatch("[a-z]+", word)]:
        parser.error(f"not of letters a-z alone: {', '.join(wrong)}")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # all sides on the CPU
    os.chdir(ROOT)
    console = Console(highlight=False)
    console.print(Rule("[bold]rnnport[/]  from spelling to sound"))
    console.print()
    try:
        with console.status("fetching the model and the dictionary"):
            published = fetch()
    except Unavailable as error:
        console.print(Text(str(error), "yellow"))
        return 1
    return show(console, published, words)


def fetch() -> Published:
    weights, symbols, words = weights_file(), symbols_file(), cmudict_file()
    return Published(read_weights(weights), read_symbols(symbols), read_dictionary(words))


def show(console: Console, published: Published, chosen: list[str]) -> int:
    """Export, compare, count errors, time."""
    weights, symbols = published.weights, published.symbols
    words = sample(published.dictionary, WORDS)
    letters = [symbols.spell(word) for word in words]
    with console.status("loading TensorFlow") as status:
        load_exporter()
        model = rebuild(weights)
        status.update("exporting")
        artifact = rnnport.export(model, ARTIFACT, overwrite=True)
        report = rnnport.verify(artifact, model=model)
        status.update(f"saying {WORDS:,} words in numpy")
        wanted = in_numpy(weights, symbols, letters)
        forced = teacher_force(published, model, letters, wanted)
        status.update(f"saying {WORDS:,} words with rnnport")
        greedy, likely = generate(artifact, symbols, letters, 1)
        beam, likelier = generate(artifact, symbols, letters, BEAM)
        said, _ = generate(artifact, symbols, [symbols.spell(word) for word in chosen], 1)
        status.update("timing")
        speeds = race(artifact, model, weights, symbols, letters, wanted)
    same = sameness(symbols, words, wanted, greedy, forced)
    rates = [rate(published, words, ids) for ids in (greedy, beam)]
    section(console, "the model", about(model, artifact, report))
    section(console, f"{WORDS:,} words of CMUdict", same)
    section(console, "phoneme errors, stress counted", errors(*rates, BEAM, likely, likelier))
    section(console, "words a second, greedy, on the CPU", pace(speeds))
    section(console, "for example", examples(symbols, published.dictionary, chosen, said))
    good = report.passed and greedy == wanted and forced.good and all(s.same for s in speeds)
    return 0 if good else 1


def teacher_force(
    published: Published, model: Any, letters: Sequence[Array], wanted: Ids
) -> Forced:
    """Feed what greedy decoding gave, in numpy and to the Keras model."""
    fed = [[published.symbols.start, *ids] for ids in wanted]
    pairs = zip(letters, fed, strict=True)
    ours = [numpy_logits(published.weights, word, ids) for word, ids in pairs]
    keras = model.predict([padded(letters), padded(fed)], batch_size=BATCH, verbose=0)
    apart = [np.abs(a - b[: len(a)]).max() for a, b in zip(ours, keras, strict=True)]
    logits = np.concatenate(ours)
    first, second = np.sort(logits, axis=1)[:, :-3:-1].T
    bound = TENSORFLOW * max(1.0, float(np.abs(logits).max()))
    return Forced(float(np.max(apart)), bound, float((first - second).min()))


def generate(
    artifact: Artifact, symbols: Symbols, letters: list[Array], beam_width: int
) -> tuple[Ids, Array]:
    """Ids and log probability of every word."""
    ids, scores = rnnport.load(artifact, provider="cpu", threads=1).generate(
        letters,
        start=symbols.start,
        stop=symbols.stop,
        max_steps=MAX_STEPS,
        beam_width=beam_width,
        return_scores=True,
    )
    return [one.tolist() for one in ids], scores


def rate(published: Published, words: list[str], ids: Ids) -> Rate:
    says = {word: published.symbols.say(one) for word, one in zip(words, ids, strict=True)}
    return error_rate(says, published.dictionary)


if __name__ == "__main__":
    sys.exit(main())
