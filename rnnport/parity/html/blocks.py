"""Pieces that several sections share: sections, tables that stack on a phone, lists of facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from rnnport.parity.html.markup import Markup, join, tag

__all__ = ["facts", "folded", "section", "table"]


def section(anchor: str, title: str, *body: str | None) -> Markup:
    """A titled part of the page, to which the contents link."""
    return tag("section", tag("h2", title), *body, id=anchor)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    roles: Sequence[str] = (),
    **attributes: str,
) -> Markup:
    """A table; on a phone every row becomes a block in which each cell says its column.

    Args:
        columns: their titles; one that ends in ">" holds numbers and is aligned right.
        rows: as many cells as columns; Markup or text.
        roles: classes of the first rows.
        attributes: of the table.
    """
    titles = [column.removesuffix(">") for column in columns]
    kinds = ["number" if column.endswith(">") else None for column in columns]
    head = [tag("th", t, class_=k, scope="col") for t, k in zip(titles, kinds, strict=True)]
    body = [
        tag(
            "tr",
            *(
                tag("td", tag("div", cell), class_=kind, data_label=title)
                for cell, title, kind in zip(row, titles, kinds, strict=True)
            ),
            class_=role,
        )
        for row, role in zip_longest(rows, roles)
    ]
    return tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body), **attributes)


def folded(title: str, *body: str, opened: bool = False) -> Markup:
    """Something long behind its title."""
    return tag("details", tag("summary", title), *body, open=opened, class_="more")


def facts(pairs: Mapping[str, str]) -> Markup:
    """What, and its value."""
    return tag("dl", *(join(tag("dt", k), tag("dd", v)) for k, v in pairs.items()), class_="facts")
