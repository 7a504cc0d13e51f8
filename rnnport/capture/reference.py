"""TensorFlow's own answer: the model run eagerly, from zero state, at any size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from keras import tree
from numpy.typing import NDArray

from rnnport.capture.context import TraceContext
from rnnport.capture.intercept import intercepting
from rnnport.capture.open import open_source
from rnnport.capture.patches import REFERENCE_PATCHES
from rnnport.capture.source import Source

__all__ = ["Reference", "open_reference"]

Arrays = Mapping[str, NDArray[np.generic]]


class Reference:
    """Runs a source in TensorFlow and leaves the model as it was.

    Attributes:
        failed_in: the innermost layer of the last call that raised, or "".
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.failed_in = ""

    def __call__(self, inputs: Arrays) -> list[NDArray[np.generic]]:
        """Flat outputs for inputs given by port name."""
        context = TraceContext()
        flat = [tf.constant(inputs[i.name]) for i in self._source.inputs]
        try:
            with intercepting(context, REFERENCE_PATCHES):
                nest = self._source.call(flat)
        except Exception:
            self.failed_in = context.failed_in
            raise
        return [np.asarray(leaf) for leaf in tree.flatten(nest) if leaf is not None]


def open_reference(
    model: Any, *, custom_objects: Mapping[str, Any] | None = None, input_signature: Any = None
) -> Reference:
    """Open a model, as export would, to be compared with.

    Raises:
        ModelError: it cannot be opened.
    """
    return Reference(
        open_source(model, custom_objects=custom_objects, input_signature=input_signature)
    )
