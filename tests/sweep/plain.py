"""Models as plain data: a repr that is code, JSON, and the simplest value of every field.

The defaults of a dataclass are its simplest values. What equals them is left out of a repr and of
a file, so that what remains is what matters.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, Self


class Plain:
    """A frozen dataclass whose fields hold plain values, or tuples of such dataclasses."""

    def changed(self) -> dict[str, Any]:
        """The fields that are not at their simplest value."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]
        return {name: value for name, value in values.items() if value != simplest(self, name)}

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.changed().items())
        return f"{type(self).__name__}({given})"

    def settled(self) -> Self:
        """The same with options taken back that do not go with the others."""
        return self

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {name: _lowered(value) for name, value in self.changed().items()}

    @classmethod
    def from_plain(cls, given: dict[str, Any]) -> Self:
        """Back again.

        Raises:
            TypeError: a field that the class does not know.
        """
        inner = _inner(cls)
        return cls(**{name: _raised(value, inner.get(name)) for name, value in given.items()})


def simplest(holder: Any, name: str) -> Any:
    """The default of a field."""
    (item,) = (item for item in fields(holder) if item.name == name)
    assert item.default is not MISSING, f"{name} has no simplest value"
    return item.default


def _inner(cls: Any) -> dict[str, type[Plain]]:
    """Which fields are tuples of dataclasses, by the one that stands in the default."""
    found = {item.name: item.default for item in fields(cls)}
    return {
        name: type(value[0])
        for name, value in found.items()
        if isinstance(value, tuple) and value and isinstance(value[0], Plain)
    }


def _lowered(value: Any) -> Any:
    return [item.to_plain() for item in value] if isinstance(value, tuple) else value


def _raised(value: Any, kind: type[Plain] | None) -> Any:
    return value if kind is None else tuple(kind.from_plain(item) for item in value)
