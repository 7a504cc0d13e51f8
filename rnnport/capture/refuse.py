"""Refusals that can be made before tracing; every reason is collected and raised once."""

from __future__ import annotations

from typing import Any

from keras import tree

from rnnport.capture.source import Source
from rnnport.errors import Reason, UnsupportedModel

__all__ = ["refuse_dtypes", "refuse_ragged"]


def refuse_ragged(struct: Any) -> None:
    """Refuse inputs that are no plain arrays.

    Args:
        struct: nested input tensors of a functional model.

    Raises:
        UnsupportedModel: names every ragged or sparse input.
    """
    kinds = ("ragged", "sparse")
    found = [
        (leaf.name, kind)
        for leaf in tree.flatten(struct)
        for kind in kinds
        if type(leaf).__name__.lower().startswith(kind) or getattr(leaf, kind, False)
    ]
    if found:
        remedy = "rebuild it with plain inputs, padded and masked, and copy the weights"
        raise UnsupportedModel(
            *(Reason(f"input {name!r}", f"{kind} rows", "arrays", remedy) for name, kind in found)
        )


def refuse_dtypes(source: Source) -> None:
    """Refuse inputs that are not numbers or booleans.

    Raises:
        UnsupportedModel: names every such input.
    """
    strings = [i.name for i in source.inputs if i.dtype in ("string", "object")]
    if strings:
        raise UnsupportedModel(
            *(
                Reason(
                    f"input {name!r}",
                    "dtype string",
                    "numbers or booleans",
                    "export the part of the model behind the lookup, and look the ids up in "
                    "Python with the layer's vocabulary",
                )
                for name in strings
            )
        )
