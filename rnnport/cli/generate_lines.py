"""Lines of `rnnport generate`: text or ids in, text or ids out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnport.cli.vocabulary import Vocabulary
from rnnport.errors import UsageError
from rnnport.spec import Port

__all__ = ["Reader", "Writer", "in_batches", "token_id"]

_DIGITS = frozenset("0123456789")


@dataclass(frozen=True)
class Reader:
    """Turns lines into sources.

    Attributes:
        port: what takes the source.
        vocabulary: of the source; None where lines are ids.
        chars: every character is a token, not every word.
        unknown: the id of tokens that the vocabulary lacks; None to refuse them.
        end: an id put after every source, or None.
    """

    port: Port
    vocabulary: Vocabulary | None
    chars: bool
    unknown: int | None
    end: int | None

    def source(self, line: str, number: int) -> Any:
        """The ids of a line; one-hot rows where the model takes such.

        Raises:
            UsageError: nothing, or what is no token.
        """
        tokens = list(line) if self.chars and self.vocabulary else line.split()
        ids = [self._id(token, number) for token in tokens]
        if not ids:
            expected = "ids separated by spaces" if self.vocabulary is None else "text"
            raise UsageError.of(f"line {number}", "nothing", expected, "leave it out")
        ids += [] if self.end is None else [self.end]
        width = self.port.shape[-1]
        if len(self.port.shape) < 3 or not isinstance(width, int):
            return ids
        if max(ids) >= width:
            expected, remedy = f"ids from 0 to {width - 1}", "use the model's own ids"
            raise UsageError.of(f"line {number}", f"id {max(ids)}", expected, remedy)
        return np.eye(width, dtype=self.port.dtype)[ids]

    def _id(self, token: str, number: int) -> int:
        if self.vocabulary is None:
            if set(token) <= _DIGITS:
                return int(token)
            expected, remedy = "ids separated by spaces", "pass --source-vocab to read text"
            raise UsageError.of(f"line {number}", repr(token), expected, remedy)
        found = self.vocabulary.id(token)
        found = self.unknown if found is None else found
        if found is None:
            expected = f"one of the {len(self.vocabulary)} tokens of {self.vocabulary.path}"
            remedy = "pass --unknown, or --chars where tokens are characters"
            raise UsageError.of(f"line {number}", repr(token), expected, remedy)
        return found


@dataclass(frozen=True)
class Writer:
    """Turns results into lines.

    Attributes:
        vocabulary: of the target; None to write ids.
        between: what stands between two tokens; None for nothing between characters, else a space.
        as_json: a JSON object a line.
    """

    vocabulary: Vocabulary | None
    between: str | None
    as_json: bool

    def line(self, ids: Sequence[int], score: float) -> str:
        """One result."""
        text = None if self.vocabulary is None else self._text(self.vocabulary, ids)
        if self.as_json:
            found = {"ids": list(ids), "text": text, "score": round(score, 6)}
            return json.dumps(found, ensure_ascii=False)
        return " ".join(map(str, ids)) if text is None else text

    def _text(self, vocabulary: Vocabulary, ids: Sequence[int]) -> str:
        between = self.between
        if between is None:
            between = "" if vocabulary.of_characters else " "
        return vocabulary.text(ids, between)


def token_id(value: str, vocabulary: Vocabulary | None, option: str) -> int:
    """What an option gives as an id, or as a token of the vocabulary.

    Raises:
        UsageError: neither.
    """
    if value and set(value) <= _DIGITS:
        return int(value)
    found = None if vocabulary is None else vocabulary.id(value)
    if found is None:
        where = "no vocabulary" if vocabulary is None else f"no such token in {vocabulary.path}"
        remedy = "pass the id, or the vocabulary file that has the token"
        raise UsageError.of(option, f"{value!r}, {where}", "an id or a token", remedy)
    return found


def in_batches(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    """Lines without their ends, at most size at a time."""
    batch: list[str] = []
    for line in lines:
        batch.append(line.rstrip("\r\n"))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
