"""A vocabulary file: one token a line, its id the line's number from 0; or JSON, token to id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnport.errors import UsageError

__all__ = ["Vocabulary", "load_vocabulary"]

_EXPECTED = "one token a line, or a JSON object from tokens to ids"


class Vocabulary:
    """Tokens and their ids.

    Args:
        path: for messages.
        ids: token to id, each id once.
    """

    def __init__(self, path: Path, ids: Mapping[str, int]) -> None:
        self.path = path
        self._ids = dict(ids)
        self._tokens = {number: token for token, number in ids.items()}

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def of_characters(self) -> bool:
        """Whether every token is one character, but for marks such as <s>."""
        return all(len(token) == 1 or token.startswith("<") for token in self._ids)

    def id(self, token: str) -> int | None:
        """A token's id, None where it has none."""
        return self._ids.get(token)

    def text(self, ids: Sequence[int], between: str) -> str:
        """Tokens of ids; one without a token stands as <id>."""
        return between.join(self._tokens.get(number, f"<{number}>") for number in ids)


def load_vocabulary(path: Path, option: str) -> Vocabulary:
    """Read a vocabulary file.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    subject = f"{option} {path}"
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        received = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        remedy = "check the path, its permissions and its encoding"
        raise UsageError.of(subject, received, _EXPECTED, remedy) from error
    pairs = _pairs_of_json(text, subject) if text.lstrip().startswith("{") else _pairs(text)
    if not pairs:
        raise UsageError.of(subject, "no token", _EXPECTED, "check the path")
    return Vocabulary(path, _checked(pairs, subject))


def _pairs(text: str) -> list[tuple[str, Any]]:
    lines = text.removesuffix("\n").split("\n") if text else []
    return [(line.removesuffix("\r"), number) for number, line in enumerate(lines)]


def _pairs_of_json(text: str, subject: str) -> list[tuple[str, Any]]:
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise UsageError.of(subject, f"JSON: {error}", _EXPECTED, "mend the file") from error
    return [(token, number) for token, number in pairs]


def _checked(pairs: Sequence[tuple[str, Any]], subject: str) -> dict[str, int]:
    """Every token and every id once."""
    found: dict[str, int] = {}
    taken: dict[int, str] = {}
    for token, number in pairs:
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            received, expected = f"{token!r}: {number!r}", "ids that are whole numbers from 0 up"
            raise UsageError.of(subject, received, expected, "write the file token to id")
        if token in found or number in taken:
            other = found.get(token, number)
            received = f"{token!r} as {number}, and {taken[other]!r} as {other}"
            expected = "every token and every id once"
            raise UsageError.of(subject, received, expected, "remove one of them")
        found[token], taken[number] = number, token
    return found
