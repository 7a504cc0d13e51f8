"""What a runtime or a model raised, in one line for a report."""

from __future__ import annotations

__all__ = ["failure"]


def failure(error: Exception) -> str:
    """The kind of the exception and what it says, shortened."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
