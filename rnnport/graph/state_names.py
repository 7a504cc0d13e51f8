"""Names for the states of a stream form."""

from __future__ import annotations

import re

__all__ = ["StateNames"]


class StateNames:
    """Gives `<layer>_<state>` names that are unique and sort alike with `_in` and `_out`.

    Some servers pair states by their sorted names. That fails only where one name, followed by an
    underscore, begins another one, and what comes next there sorts between "in" and "out".
    """

    def __init__(self) -> None:
        self._prefixes: dict[str, int] = {}
        self._taken: list[str] = []

    def prefix(self, layer: str) -> str:
        """The layer's name for this call of it: a second call gets a number."""
        clean = re.sub(r"\W+", "_", layer).strip("_") or "layer"
        count = self._prefixes[clean] = self._prefixes.get(clean, 0) + 1
        return clean if count == 1 else f"{clean}_{count}"

    def take(self, wish: str) -> str:
        """The wish, or the wish with a number where it clashes."""
        name, number = wish, 2
        while name in self._taken or not self._sorts(name):
            name, number = f"{wish}{number}", number + 1
        self._taken.append(name)
        return name

    def _sorts(self, name: str) -> bool:
        names = [*self._taken, name]
        by_input = sorted(names, key=lambda n: f"{n}_in")
        return by_input == sorted(names, key=lambda n: f"{n}_out")
