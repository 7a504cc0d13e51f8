"""Cells stepped by a Python loop: a plain chain over consecutive steps becomes one layer."""

from __future__ import annotations

from rnnport.graph.skeleton import Skeleton

__all__ = ["fuse_chains"]


def fuse_chains(skeleton: Skeleton) -> None:
    """Replace chains of steps in place."""
