"""A session that cannot be bound to memory: its inputs are handed over, its outputs copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.runtime.backends.base import RunFailed, Session

__all__ = ["CopiedBinding"]

Array = NDArray[Any]


class CopiedBinding:
    """The same to its users as a Binding.

    Args:
        session: of any backend.
        inputs: input name to array, read in every run.
        outputs: output name to the array to write, or None where its shape is not known
            beforehand. All outputs wanted, in order.
    """

    def __init__(
        self, session: Session, inputs: Mapping[str, Array], outputs: Mapping[str, Array | None]
    ) -> None:
        self._session = session
        self._inputs, self._outputs = dict(inputs), dict(outputs)
        self._names = list(outputs)
        self._found: dict[str, Array] = {}

    def run(self) -> None:
        """Run the session once on what the inputs hold now; writes nothing where it fails."""
        found = self._session.run(self._names, self._inputs)
        for (name, own), array in zip(self._outputs.items(), found, strict=True):
            if own is not None and own.shape != array.shape:
                detail = f"{name!r} came as {array.shape}, where {own.shape} was announced"
                raise RunFailed(type(self._session).__name__, detail)
        for own, array in zip(self._outputs.values(), found, strict=True):
            if own is not None:
                own[...] = array
        self._found = dict(zip(self._names, found, strict=True))

    def runner(self) -> Callable[[], None]:
        """What run does."""
        return self.run

    def allocated(self) -> dict[str, Array]:
        """The outputs of the last run that had no array to go to."""
        return {
            name: np.array(self._found[name]) for name, own in self._outputs.items() if own is None
        }
