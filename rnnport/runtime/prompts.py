"""Prompts: sources of a model that has no encoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rnnport.errors import InputError, Reason
from rnnport.runtime.decode_plan import DecodePlan
from rnnport.runtime.sources import Sources, read_sources

__all__ = ["prompt_array", "read_prompts"]

Array = NDArray[Any]


def read_prompts(
    plan: DecodePlan, given: Mapping[str, Any], start: int | None, *, tokens: bool
) -> Sources:
    """Check prompts, ids or floats, and what stays fixed.

    Args:
        plan: the decoder's.
        given: input name to an array (B, …) or a list of arrays, one a source.
        start: an id put before each prompt, which may be empty then.
        tokens: prompts are ids, also where the decoder takes one-hot rows.

    Raises:
        InputError: as read_sources, and for ids outside the vocabulary.
    """
    name = plan.step.name
    dtype, shape = ("int64", ["B", "S"]) if tokens else (plan.step.dtype, ["B", "S", plan.width])
    prompt = msgspec.structs.replace(plan.step, dtype=dtype, shape=shape)
    ports = [prompt if port.name == name else port for port in plan.sources]
    given = dict(given)
    if start is not None and name in given:
        given[name] = _with_start(given[name], start)
    # A prompt never needs padding: what it leaves behind has one size whatever its length.
    sources = read_sources(ports, given)
    if tokens and (reasons := list(_id_reasons(plan, sources))):
        raise InputError(*reasons[:8])
    return sources


def prompt_array(plan: DecodePlan, prompt: Array) -> Array:
    """Ids (B, P), or floats (B, P, F), as the decoder takes them."""
    if plan.width is None or prompt.ndim > 2:
        return prompt.astype(plan.step.dtype)
    return np.eye(plan.width, dtype=plan.step.dtype)[prompt]


def _with_start(prompts: Any, start: int) -> Any:
    if isinstance(prompts, (list, tuple)):
        return [[start, *row] if isinstance(row, Iterable) else row for row in prompts]
    array = np.asarray(prompts)
    if array.ndim != 2:
        return prompts
    return np.concatenate([np.full((len(array), 1), start, array.dtype), array], axis=1)


def _id_reasons(plan: DecodePlan, sources: Sources) -> Iterator[Reason]:
    for i, row in enumerate(sources.rows):
        ids = row[plan.step.name]
        bad = ids[(ids < 0) | (ids >= plan.known_ids)]
        if len(bad):
            yield Reason(
                f"source {i}, input {plan.step.name!r}",
                f"id {bad[0]}",
                f"ids from 0 to {plan.known_ids - 1}",
                "look the ids up in the model's own vocabulary",
            )
