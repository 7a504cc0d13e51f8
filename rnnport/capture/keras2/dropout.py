"""Dropout masks that cells of tf_keras keep between calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["masks_aside"]

_MASKS = ("_dropout_mask_cache", "_recurrent_dropout_mask_cache")


@contextmanager
def masks_aside(cell: Any) -> Iterator[None]:
    """No dropout mask of an earlier call is used, none of this call is left.

    A cell keeps its masks, as large as the batch and ones at inference too, until its layer resets
    them. Keras's convolutional layers never do, so that a second eager call fails at another batch
    size; and a mask made in the trace of one step would turn up in the next trace.

    Args:
        cell: of a recurrent layer; where it stacks others, theirs are put aside.
    """
    cells = getattr(cell, "cells", [cell])
    caches = [getattr(one, name) for one in cells for name in _MASKS if hasattr(one, name)]
    kept = [dict(cache) for cache in caches]
    for cache in caches:
        cache.clear()
    try:
        yield
    finally:
        for cache, masks in zip(caches, kept, strict=True):
            cache.clear()
            cache.update(masks)
