"""HTML from nested calls; whatever is not Markup already is escaped."""

from __future__ import annotations

import html
import re

__all__ = ["Markup", "join", "mark", "tag", "words"]

# A line must not end within "1.2e-06" or "12 ×".
_FIGURE = re.compile(r"\b\d[\d.,]*(?:e[-+]\d+(?: [%×])?| [%×])")
_VOID = frozenset({"meta", "link"})
_MARKS = {
    "pass": ("passed", "M5 13l4.5 4.5L19 7.5"),
    "fail": ("failed", "M6.5 6.5l11 11M17.5 6.5l-11 11"),
    "halt": ("cannot run", "M5 12h14"),
}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str | None, **attributes: str | bool | None) -> Markup:
    """An element.

    Args:
        name: e.g. "td".
        children: Markup as it is, other text escaped; None is left out.
        attributes: class_ is class, data_label is data-label; True is the name alone; None and
            False are left out.
    """
    words = [name]
    for key, value in attributes.items():
        label = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(label)
        elif value is not None and value is not False:
            words.append(f'{label}="{html.escape(value)}"')
    opening = f"<{' '.join(words)}>"
    return Markup(opening if name in _VOID else f"{opening}{join(*children)}</{name}>")


def join(*children: str | None) -> Markup:
    """Several pieces, one after the other."""
    return Markup("".join(_escaped(child) for child in children if child is not None))


def words(text: str) -> Markup:
    """A sentence, its figures kept in one piece."""
    return Markup(_FIGURE.sub(r'<span class="figure">\g<0></span>', html.escape(text)))


def mark(state: str) -> Markup:
    """A round sign, "pass", "fail" or "halt": shape as well as colour, and a word for readers."""
    label, path = _MARKS[state]
    stroke = tag("path", d=path)
    sign = tag("svg", stroke, viewBox="0 0 24 24", role="img", aria_label=label)
    return tag("span", sign, class_=f"mark {state}")


def _escaped(child: str) -> str:
    return child if isinstance(child, Markup) else html.escape(child)
