"""TensorFlow 1's own answer: the code as it is, run by a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.capture.context import TraceContext
from rnnport.capture.graph_code import BuiltGraph, GraphCode, build_graph, open_session
from rnnport.capture.intercept import Patch, intercepting

__all__ = ["PlainGraphs"]

Shape = tuple[int | None, ...]
_KEPT = 12


class PlainGraphs:
    """Graphs built without interception, each with a session, by the shapes they were built at.

    Args:
        code: the code.
        declared: shapes of the signature; that graph is built at once.
        patches: what is routed even here.

    Attributes:
        code: the code.
        first: the graph at the declared shapes.
    """

    def __init__(self, code: GraphCode, declared: Sequence[Shape], patches: list[Patch]) -> None:
        self.code = code
        self._patches = patches
        self._declared = tuple(declared)
        self._built: dict[tuple[Shape, ...], tuple[BuiltGraph, Any]] = {}
        self.first = self._at(self._declared)[0]

    def run(self, arrays: Sequence[NDArray[np.generic]]) -> list[NDArray[np.generic]]:
        """Flat outputs for these inputs, in a graph whose placeholders take them."""
        shapes = tuple(tuple(a.shape) for a in arrays)
        fits = all(map(_takes, self._declared, shapes))
        built, session = self._at(self._declared if fits else shapes)
        feeds = dict(zip(built.placeholders, arrays, strict=True))
        return [np.asarray(y) for y in session.run(list(built.outputs), feeds)]

    def _at(self, shapes: tuple[Shape, ...]) -> tuple[BuiltGraph, Any]:
        if shapes not in self._built:
            context = TraceContext()
            built = build_graph(self.code, shapes, intercepting(context, self._patches))
            for note in context.notes:
                self.code.note(note)
            self._built[shapes] = built, open_session(self.code, built)
            self._forget()
        return self._built[shapes]

    def _forget(self) -> None:
        """Graphs hold all weights; only the latest stay, and the declared one."""
        others = [shapes for shapes in self._built if shapes != self._declared]
        for shapes in others[:-_KEPT]:
            self._built.pop(shapes)[1].close()


def _takes(declared: Shape, shape: Shape) -> bool:
    same = len(declared) == len(shape)
    return same and all(d is None or d == s for d, s in zip(declared, shape, strict=False))
