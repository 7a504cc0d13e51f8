"""The line of a TensorFlow or Keras error that says what is wrong."""

from __future__ import annotations

import re

__all__ = ["gist"]

_NOISE = (
    re.compile(r"\x1b\[[0-9;]*m"),  # colours
    re.compile(r"\{\{function_node [^}]*\}\}\s*"),
    re.compile(r"\s*\[Op:\w+\]\s*(name:.*)?"),
    re.compile(r"\s*for '\{\{node .*"),
)


def gist(error: BaseException, limit: int = 240) -> str:
    """The first telling line, without colours and graph noise, at most `limit` characters."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [x for x in lines if x and not x.startswith("Exception encountered when calling")]
    text = telling[0] if telling else type(error).__name__
    for noise in _NOISE:
        text = noise.sub("", text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
