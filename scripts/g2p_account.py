"""The blocks that scripts/g2p prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from g2p_model import Symbols
from g2p_race import BATCH, OURS, Ids, Speed
from g2p_words import Dictionary, Rate
from numpy.typing import NDArray
from printing import facts, mark
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rnnport.artifact.load import Artifact
    from rnnport.parity.report import ParityReport

__all__ = ["Forced", "about", "errors", "examples", "pace", "sameness"]

CUT = ("encoder", "decoder")
SHOWN = 5  # of words that differ
CLEAR = 1e-4  # a difference of log probabilities that rounding does not make

Array = NDArray[Any]


@dataclass(frozen=True)
class Forced:
    """Teacher-forced logits of every word, in numpy and in Keras.

    Attributes:
        error: the largest difference.
        bound: what it may be.
        closest: the smallest lead of a likeliest phoneme over the next.
    """

    error: float
    bound: float
    closest: float

    @property
    def good(self) -> bool:
        """Whether the error is within its bound; not so for NaN."""
        return self.error <= self.bound


def about(model: Any, artifact: Artifact, report: ParityReport) -> Table:
    grid, forms = facts(), artifact.manifest.forms
    sizes = [f"{name}.onnx {forms[name].record.size / 1e6:.1f} MB" for name in CUT]
    handed = ", ".join(port.name for port in forms["encoder"].outputs)
    failed = sum(not check.passed for check in report.checks)
    grid.add_row("from", "g2p-en 2.1.0, Apache-2.0, checkpoint20.npz")
    grid.add_row("is", f"GRU(256) → GRU(256), {model.count_params():,} weights, one Keras model")
    grid.add_row("cut into", f"{' and '.join(sizes)}: rnnport finds where")
    grid.add_row("handed over", f"{handed}, 256 numbers a word")
    if failed:
        verified = Text(f"{failed} of {len(report.checks)} checks failed", "red")
    else:
        verified = Text(f"{len(report.checks)} checks passed, the hand-off among them", "green")
    grid.add_row("verified", verified)
    return grid


def sameness(symbols: Symbols, words: list[str], wanted: Ids, found: Ids, forced: Forced) -> Table:
    """Whether rnnport says what numpy says, and where not, how they differ."""
    differ = [i for i in range(len(words)) if wanted[i] != found[i]]
    grid = Table.grid(padding=(0, 2))
    equal = f"{len(words) - len(differ):,} of {len(words):,} equal, phoneme by phoneme"
    grid.add_row(mark(not differ), "generate and numpy", Text(equal, "bold"))
    for i in differ[:SHOWN]:
        ours, theirs = (" ".join(symbols.say(ids)) for ids in (found[i], wanted[i]))
        grid.add_row("", words[i], f"{ours}; in numpy {theirs}")
    error = Text.assemble((f"{forced.error:.1e}", "bold"), (f" of {forced.bound:.0e}", "dim"))
    grid.add_row(mark(forced.good), "logits, Keras and numpy", error)
    grid.add_row("", "closest decision", f"two phonemes {forced.closest:.1e} apart")
    return grid


def errors(greedy: Rate, beam: Rate, width: int, likely: Array, likelier: Array) -> Table:
    """Rates, and what the beams changed: log probabilities of every word, without and with."""
    grid = facts()
    for name, rate in (("greedy", greedy), (f"{width} beams", beam)):
        share = Text(f"{rate.errors / rate.phonemes:.1%}", "bold")
        grid.add_row(name, share.append(f"  {rate.right / rate.words:.1%} of words right", "dim"))
    better, worse = (likelier > likely + CLEAR).sum(), (likelier < likely - CLEAR).sum()
    grid.add_row(
        "beams give", f"a likelier answer for {better} words, a less likely one for {worse}"
    )
    grid.add_row("mind", "what it was trained on the package does not say; CMUdict, most likely")
    return grid


def pace(speeds: Sequence[Speed]) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    grid.add_column("", style="dim", no_wrap=True)
    grid.add_column("one by one", justify="right", no_wrap=True)
    grid.add_column(f"{BATCH} together", justify="right", no_wrap=True)
    grid.add_column("")
    for speed in speeds:
        style = "bold green" if speed.who == OURS else ""
        cells = [Text(_figure(value), style) for value in (speed.alone, speed.together)]
        grid.add_row(speed.who, *cells, "" if speed.same else Text("says otherwise", "red"))
    return grid


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def examples(symbols: Symbols, dictionary: Dictionary, words: Sequence[str], ids: Ids) -> Table:
    """What some words sound like, and CMUdict's word on them."""
    grid = facts()
    for word, one in zip(words, ids, strict=True):
        says = symbols.say(one)
        grid.add_row(word, Text(" ".join(says), "bold"), _verdict(says, dictionary.get(word)))
    return grid


def _verdict(says: tuple[str, ...], known: list[tuple[str, ...]] | None) -> Text:
    if known is None:
        return Text("not in CMUdict", "dim")
    other = f"CMUdict: {' '.join(known[0])}"
    return Text("as in CMUdict" if says in known else other, "dim")
