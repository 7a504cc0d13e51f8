"""TensorFlow's own answer: the model run from zero state, at any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import tree
from numpy.typing import NDArray

from rnnport.capture.context import TraceContext
from rnnport.capture.intercept import Patch, intercepting
from rnnport.capture.open import open_source
from rnnport.capture.patches import eager_patches, graph_patches
from rnnport.capture.source import Source
from rnnport.errors import UsageError

__all__ = ["Reference", "open_reference"]

Arrays = Mapping[str, NDArray[np.generic]]

_OPEN: tuple[Any, ...] = ("open sizes",)


class Reference:
    """Runs a source in TensorFlow and leaves the model as it was.

    Args:
        source: the model.

    Attributes:
        failed_in: the innermost layer of the last eager call that raised, or "".
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._graphs: dict[tuple[Any, ...], Any] = {}
        self._seen: set[tuple[Any, ...]] = set()
        self.failed_in = ""

    @property
    def is_graph(self) -> bool:
        """Whether it is TensorFlow 1 code, or a graph's file."""
        return self._source.graph is not None

    @property
    def compiled(self) -> bool:
        """Whether sequences of any length run in a graph, and not step by step in Python."""
        return self.is_graph or self._graphs.get(_OPEN) is not None

    def eager(self, inputs: Arrays, watching: Sequence[Patch] = ()) -> list[NDArray[np.generic]]:
        """Flat outputs, computed op by op: every check Keras makes in Python is made.

        Args:
            inputs: input name to array.
            watching: further patches.
        """
        if self._source.graph is not None:
            return self._source.graph.run(self._arrays(inputs))
        context = TraceContext()
        patches = [*eager_patches(), *watching]
        try:
            return [np.asarray(y) for y in self._call(context, self._flat(inputs), patches)]
        except Exception:
            self.failed_in = context.failed_in
            raise

    def __call__(self, inputs: Arrays) -> list[NDArray[np.generic]]:
        """Flat outputs: eager at first, then from a graph that was seen to give the same.

        Where the model cannot be traced with open sizes, lengths that come again get a graph of
        their own.
        """
        if self._source.graph is not None:
            return self.eager(inputs)
        flat = self._flat(inputs)
        graph = self._graphs.get(_OPEN) or self._graphs.get(_lengths(flat))
        if graph is not None:
            return [np.asarray(y) for y in graph(*flat)]
        expected = self.eager(inputs)
        if _OPEN not in self._graphs:
            self._graphs[_OPEN] = self._proven_graph(flat, expected, self._open_shapes(flat))
        elif _lengths(flat) not in self._seen:
            self._seen.add(_lengths(flat))
        elif _lengths(flat) not in self._graphs:
            shapes = [(None, *x.shape[1:]) for x in flat]
            self._graphs[_lengths(flat)] = self._proven_graph(flat, expected, shapes)
        return expected

    def _arrays(self, inputs: Arrays) -> list[NDArray[np.generic]]:
        names = [i.name for i in self._source.inputs]
        if set(names) != set(inputs):
            raise UsageError.of(
                f"model {self._source.name!r}",
                f"inputs {', '.join(names)}",
                f"inputs {', '.join(inputs)}",
                "pass the model this artifact was exported from",
            )
        return [inputs[i.name] for i in self._source.inputs]

    def _flat(self, inputs: Arrays) -> list[Any]:
        return [tf.constant(x) for x in self._arrays(inputs)]

    def _call(self, context: TraceContext, flat: Sequence[Any], patches: list[Patch]) -> list[Any]:
        # On the CPU: a GPU's TF32 products would not be what the tolerances speak of.
        with tf.device("/CPU:0"), intercepting(context, patches):
            nest = self._source.call(list(flat))
        return [leaf for leaf in tree.flatten(nest) if leaf is not None]

    def _open_shapes(self, flat: Sequence[Any]) -> list[tuple[int | None, ...]]:
        """Batch and time open; features, and float inputs of rank 2, as declared."""
        shapes: list[tuple[int | None, ...]] = []
        for declared, x in zip(self._source.inputs, flat, strict=True):
            features = len(x.shape) == 2 and x.dtype.is_floating
            second = declared.shape[1] if features else None
            shapes.append((None, second, *declared.shape[2:])[: len(x.shape)])
        return shapes

    def _proven_graph(
        self,
        flat: Sequence[Any],
        expected: Sequence[NDArray[np.generic]],
        shapes: Sequence[tuple[int | None, ...]],
    ) -> Any:
        """A concrete function that agrees with the eager run, or None."""

        def body(*given: Any) -> list[Any]:
            return self._call(TraceContext(), given, graph_patches())

        specs = [tf.TensorSpec(shape, x.dtype) for shape, x in zip(shapes, flat, strict=True)]
        function = tf.function(body, input_signature=specs, autograph=False)
        try:
            graph = function.get_concrete_function()
            received = [np.asarray(y) for y in graph(*flat)]
        except Exception:  # models that need their sizes in Python run eagerly
            return None
        return graph if all(map(_agree, expected, received)) else None


def _lengths(flat: Sequence[Any]) -> tuple[Any, ...]:
    """All sizes but the batch's."""
    return tuple(tuple(x.shape[1:]) for x in flat)


def _agree(expected: NDArray[np.generic], received: NDArray[np.generic]) -> bool:
    if expected.shape != received.shape:
        return False
    return bool(np.allclose(expected, received, rtol=1e-5, atol=1e-6, equal_nan=True))


def open_reference(
    model: Any,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    input_signature: Any = None,
    checkpoint: Any = None,
    source_format: str | None = None,
    states: Mapping[str, str] | None = None,
) -> Reference:
    """Open a model, as export would, to be compared with.

    Raises:
        ModelError: it cannot be opened.
    """
    return Reference(
        open_source(
            model,
            custom_objects=custom_objects,
            input_signature=input_signature,
            checkpoint=checkpoint,
            source_format=source_format,
            states=states,
        )
    )
