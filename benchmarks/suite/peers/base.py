"""What a contender must offer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from suite.subject import Array, Subject

__all__ = ["Bind", "CannotRun", "Peer", "Run"]

Run = Callable[[], Any]
"""One call; gives arrays, nested as the contender likes, in the order of Keras's outputs."""

Bind = Callable[[list[Array]], Run]
"""From inputs in Keras's order to a call that takes them."""


class CannotRun(Exception):
    """A contender that does not do this model or these inputs; says why in a few words."""


class Peer(Protocol):
    """A contender."""

    @property
    def name(self) -> str:
        """What stands in the tables."""

    @property
    def role(self) -> str:
        """Of "ours", "peer" and "floor": a floor does part of the work, its outputs say nothing."""

    @property
    def few(self) -> bool:
        """Whether two rounds must do, since a call or its compilation takes long."""

    @property
    def distributions(self) -> tuple[str, ...]:
        """Whose versions are told."""

    def prepare(self, subject: Subject) -> Bind:
        """Make ready for a model.

        Raises:
            CannotRun: not this model; bind raises it for inputs.
        """
