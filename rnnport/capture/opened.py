"""A model read from disk, and the words for one that cannot be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnport.capture.wording import gist
from rnnport.errors import ModelFileError, RnnportError, UnsupportedModel

__all__ = ["Opened", "code_inside", "explain", "unknown_inside"]

# Keras's own words, which stand somewhere in a long message.
_CODE = "Requested the deserialization of a"
_UNKNOWN = re.compile(r"(?:Could not locate|Unknown) ([a-z ]+):? '([^']+)'")


@dataclass(frozen=True)
class Opened:
    """A model from disk.

    Attributes:
        model: the live object.
        kind: what it was read from, for the manifest.
        notes: what was repaired in its description.
    """

    model: Any
    kind: str
    notes: tuple[str, ...] = ()


def explain(path: Path, error: Exception, framework: str) -> RnnportError:
    """What an error of loading means.

    Args:
        path: the file.
        error: as Keras raised it.
        framework: "keras" or "tf_keras".
    """
    if isinstance(error, RnnportError):
        return error
    text = str(error)
    if _CODE in text:
        return code_inside(path)
    if unknown := _UNKNOWN.search(text):
        return unknown_inside(path, *unknown.groups())
    keras3 = framework == "keras"
    return ModelFileError.of(
        str(path),
        f"{type(error).__name__}: {gist(error)}",
        f"a model {'this Keras' if keras3 else 'tf_keras (Keras 2)'} can load",
        "open it with the Keras that wrote it and save it again as .keras"
        if keras3
        else "leave --from (source_format) out if it was given; else open the file with the Keras "
        "that wrote it and save it again",
    )


def code_inside(path: Path) -> UnsupportedModel:
    """The file brings Python code along."""
    return UnsupportedModel.of(
        f"model in {path}",
        "Python code of a lambda, which loading would run",
        "a file that brings no code along",
        "replace the lambda by a layer class or a named function, or build the model in "
        "Python, load its weights and export the live object",
    )


def unknown_inside(path: Path, what: str, name: str) -> UnsupportedModel:
    """The file names something that is not at hand."""
    return UnsupportedModel.of(
        f"model in {path}",
        f"{'an' if what[0] in 'aeiou' else 'a'} {what} that Keras does not know: {name!r}",
        "only what Keras knows, or what is given",
        f"pass custom_objects={{{name!r}: {name.split('>')[-1]}}}, or register it with "
        "@keras.saving.register_keras_serializable() before",
    )
