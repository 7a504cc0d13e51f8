"""Where the figures come from: versions, machine, and the command that makes them again."""

from __future__ import annotations

from collections.abc import Mapping

from rnnport.parity.html.blocks import facts, section, table
from rnnport.parity.html.markup import Markup, join, tag

__all__ = ["machine", "reproduce", "versions"]

_TITLES = {"export": "made with", "here": "checked with"}


def versions(found: Mapping[str, Mapping[str, str]]) -> Markup | None:
    """A library a row; where the two sides differ, a sign says so."""
    sides = [side for side in found if found[side]]
    if not sides:
        return None
    names = dict.fromkeys(name for side in sides for name in found[side])
    columns = ("library", *(_TITLES.get(side, side) for side in sides))
    rows = [[name, *_row([found[side].get(name, "") for side in sides])] for name in names]
    return section("versions", "Versions", table(columns, rows, class_="versions"))


def machine(found: Mapping[str, str]) -> Markup | None:
    """What it ran on."""
    return section("machine", "Machine", facts(found)) if found else None


def reproduce(command: str) -> Markup | None:
    """The command, to be copied."""
    if not command:
        return None
    # A line ends between words where it can, not behind the dashes of an option.
    words = [join(" " if i else "", tag("span", w)) for i, w in enumerate(command.split(" "))]
    note = tag("p", "This command does it all again:")
    return section("reproduce", "Reproduce", note, tag("pre", tag("code", *words)))


def _row(values: list[str]) -> list[str]:
    differ = len({value for value in values if value}) > 1
    last = len(values) - 1
    return [
        tag("b", f"≠ {value}") if differ and i == last else value or "–"
        for i, value in enumerate(values)
    ]
