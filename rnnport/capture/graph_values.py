"""Values of TensorFlow 1 variables: from a checkpoint, a session or their initialisers."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from rnnport.capture.wording import gist
from rnnport.errors import ModelFileError, Reason

__all__ = ["GraphValues", "open_values"]

Array = NDArray[Any]


class GraphValues:
    """Gives every graph that is built from the same code the same variables, by name.

    Args:
        stored: name to value, of a checkpoint or session; None where there is none.
        origin: what they come from, for messages.

    Attributes:
        known: name to value of every variable met so far.
    """

    def __init__(self, stored: Mapping[str, Array] | None, origin: str) -> None:
        self._stored = stored
        self.origin = origin
        self.known: dict[str, Array] = {}

    @property
    def untrained(self) -> bool:
        """Whether variables hold what their initialisers gave."""
        return self._stored is None

    def fill(self, session: Any, needed: Collection[str]) -> None:
        """Give every variable of the session's graph its value.

        Args:
            session: a v1 session; its graph is complete.
            needed: names of the operations that the outputs depend on.

        Raises:
            ModelFileError: the checkpoint lacks variables that the outputs need; lists them all.
        """
        with session.graph.as_default():
            variables = _variables()
            missing = [v for v in variables if v.op.name not in self.known]
            if missing:
                self._learn(session, missing, needed)
            _assign(session, variables, self.known)
            session.run(tf.compat.v1.tables_initializer())

    def _learn(self, session: Any, variables: Sequence[Any], needed: Collection[str]) -> None:
        session.run(tf.compat.v1.variables_initializer(_variables()))
        initial = dict(zip([v.op.name for v in variables], session.run(variables), strict=True))
        if self._stored is None:
            self.known.update(initial)
            return
        reasons = []
        for name, value in initial.items():
            stored = self._stored.get(name)
            if stored is not None and stored.shape == value.shape:
                self.known[name] = stored.astype(value.dtype)
            elif name not in needed:
                self.known[name] = value
            else:
                reasons.append(self._refusal(name, value, stored))
        if reasons:
            raise ModelFileError(*reasons)

    def _refusal(self, name: str, wanted: Array, stored: Array | None) -> Reason:
        assert self._stored is not None
        if stored is not None:
            received = f"shape {stored.shape} in {self.origin}"
        else:
            others = ", ".join(list(self._stored)[:8]) or "nothing"
            received = f"no such variable in {self.origin}, which holds {others}"
        return Reason(
            f"variable {name!r}",
            received,
            f"{wanted.dtype} {wanted.shape}",
            "pass the checkpoint of this model, or build the variables under the names it has",
        )


def _variables() -> list[Any]:
    collected = [*tf.compat.v1.global_variables(), *tf.compat.v1.local_variables()]
    return list({v.op.name: v for v in collected}.values())


def _assign(session: Any, variables: Sequence[Any], values: Mapping[str, Array]) -> None:
    """As Variable.load does it, for all of them in one run."""
    initializers = [v.initializer for v in variables]
    feeds = {v.initializer.inputs[1]: values[v.op.name] for v in variables}
    session.run(initializers, feeds)


def open_values(checkpoint: Any) -> GraphValues:
    """Read what `rnnport.export(…, checkpoint=)` was given.

    Args:
        checkpoint: the prefix of a checkpoint, a folder with one, a live v1 session, or None.

    Raises:
        ModelFileError: nothing there can be read as a checkpoint.
    """
    if checkpoint is None:
        return GraphValues(None, "the initialisers")
    if isinstance(checkpoint, (str, os.PathLike)):
        return GraphValues(_read(os.fspath(checkpoint)), f"checkpoint {os.fspath(checkpoint)}")
    return GraphValues(_of_session(checkpoint), "the session")


def _read(path: str) -> dict[str, Array]:
    prefix = tf.train.latest_checkpoint(path) if os.path.isdir(path) else path
    try:
        if prefix is None:
            raise ValueError("a folder without a file named 'checkpoint' that names one")
        reader = tf.train.load_checkpoint(prefix)
        names = reader.get_variable_to_shape_map()
        if not names:
            raise ValueError("no variables")
        return {name: np.asarray(reader.get_tensor(name)) for name in sorted(names)}
    except Exception as error:  # TensorFlow's readers raise many types
        raise ModelFileError.of(
            f"checkpoint {path}",
            gist(error),
            "what tf.compat.v1.train.Saver.save wrote",
            _remedy(path),
        ) from error


def _remedy(path: str) -> str:
    prefix = re.sub(r"\.(index|meta|data-\d+-of-\d+)$", "", path)
    if prefix != path:
        return f"pass the prefix that all files of the checkpoint share: {prefix}"
    return "pass the path without .index or .data-00000-of-00001, or the folder"


def _of_session(session: Any) -> dict[str, Array]:
    with session.graph.as_default():
        variables = _variables()
        return dict(zip([v.op.name for v in variables], session.run(variables), strict=True))
