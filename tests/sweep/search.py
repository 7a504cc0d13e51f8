"""Draws models, checks each, and makes the first failure of every kind small."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, given, settings

from tests.sweep.build import Case
from tests.sweep.case_file import write_failure
from tests.sweep.check import check
from tests.sweep.fault import Fault
from tests.sweep.pair import pairs
from tests.sweep.reduce import reduce
from tests.sweep.stack import options
from tests.sweep.stack_draw import stacks

# Hypothesis draws like models one after another. Anew after so many, options mix; every start gives
# the simplest model again, which counts once.
PART = 25

FAMILIES: dict[str, Callable[[], st.SearchStrategy[Case]]] = {
    "stacks": stacks,
    "causal": lambda: stacks(causal=True),
    "pairs": pairs,
    "all": lambda: st.one_of(stacks(), stacks(), pairs()),
}


@dataclass(frozen=True)
class Found:
    """One failure.

    Attributes:
        case: as drawn.
        kind: of the fault.
        text: what was seen, of the smallest case where there is one.
        smallest: what it was made to; None for a kind that was made small already.
        script: where the smallest case was written, if anywhere.
    """

    case: Case
    kind: str
    text: str
    smallest: Case | None = None
    script: Path | None = None


@dataclass
class Tally:
    """What was drawn and how it went."""

    drawn: int = 0
    options: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[Found] = field(default_factory=list)
    worst: float = 0.0
    streamed: int = 0
    bit_equal: int = 0
    worst_streamed: float = 0.0

    def see(self, ratio: float) -> None:
        self.worst = max(self.worst, ratio)

    def stream(self, ratio: float) -> None:
        self.streamed += 1
        self.bit_equal += ratio == 0.0
        self.worst_streamed = max(self.worst_streamed, ratio)

    def add(self, other: Tally) -> None:
        self.drawn += other.drawn
        self.options += other.options
        self.failures += other.failures
        self.worst = max(self.worst, other.worst)
        self.streamed += other.streamed
        self.bit_equal += other.bit_equal
        self.worst_streamed = max(self.worst_streamed, other.worst_streamed)


def drawn(family: str, n: int, seed: int) -> Iterator[Case]:
    """Models of a family, n unlike ones; the same seed gives the same."""
    seen: set[Case] = set()
    for number in itertools.count():
        for case in part(family, PART, seed * 1000 + number):
            if len(seen) == n:
                return
            if case not in seen:
                seen.add(case)
                yield case


def part(family: str, n: int, seed: int) -> list[Case]:
    """What Hypothesis draws in one go, like ones among them."""
    cases: list[Case] = []

    def note(case: Case) -> None:
        cases.append(case)

    asked = settings(
        max_examples=n,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    hypothesis.seed(seed)(asked(given(FAMILIES[family]())(note)))()
    return cases


def search(
    cases: Iterable[Case],
    *,
    shrink: float = 120.0,
    out: Path | None = None,
    enough: int | None = None,
    told: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Check every case; of failures of one kind the first is made small and written out.

    Args:
        cases: the models.
        shrink: seconds for making one failure small; 0 leaves it as it is.
        out: receives scripts; None writes none.
        enough: stops after so many failures.
        told: called after every case.
    """
    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        for case in cases:
            tally.drawn += 1
            tally.options.update(set(options(case)))
            fault = fault_of(case, Path(name) / "out", tally.see, tally.stream)
            if fault is not None:
                known = {found.kind for found in tally.failures}
                found = Found(case, fault.kind, fault.text)
                if fault.kind not in known:
                    found = small(found, fault, shrink, out, Path(name) / "small")
                tally.failures.append(found)
            told(tally)
            if len(tally.failures) == enough:
                break
    return tally


def fault_of(
    case: Case,
    folder: Path,
    seen: Callable[[float], None] = lambda ratio: None,
    streamed: Callable[[float], None] = lambda ratio: None,
) -> Fault | None:
    """How a case fails; None where it does not."""
    try:
        check(case, folder, seen, streamed)
    except Fault as fault:
        return fault
    return None


def small(found: Found, fault: Fault, seconds: float, out: Path | None, folder: Path) -> Found:
    """The failure with its smallest case, written to `out`."""
    faults = {found.case: fault}

    def kind_of(case: Case) -> str | None:
        seen = faults.get(case) or fault_of(case, folder)
        if seen is None:
            return None
        faults[case] = seen
        return seen.kind

    smallest = reduce(found.case, kind_of, seconds)
    last = faults[smallest]
    script = None if out is None else write_failure(out, smallest, last)
    return Found(found.case, last.kind, last.text, smallest, script)
