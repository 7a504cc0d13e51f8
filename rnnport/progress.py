"""What long work tells of itself while it goes on."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress"]

Progress = Callable[[str, float], None]
"""Called with the stage now begun, and the fraction of the whole that is done, 0 to 1."""
