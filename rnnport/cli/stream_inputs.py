"""What a line of `rnnport stream` brings: one step or a chunk, checked before anything happens."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.cli.stream_lines import Line
from rnnport.errors import InputError, Reason
from rnnport.runtime.stream_checks import check_row
from rnnport.runtime.stream_plan import StreamPlan
from rnnport.spec import Port

__all__ = ["Inputs", "describe_step", "read_inputs"]

_SHOWN = 12  # numbers in an example


@dataclass(frozen=True)
class Inputs:
    """One stream's arrays by input name: (F…), or (T, F…) where they are a chunk."""

    arrays: dict[str, NDArray[Any]]
    is_chunk: bool


def read_inputs(plan: StreamPlan, line: Line) -> Inputs | None:
    """Check what a line brings; None where that is nothing.

    Raises:
        InputError: names, nesting, shapes or values do not fit.
    """
    if not line.has_input:
        return None
    given = _by_name(plan, line)
    is_chunk = _is_chunk(plan, given)
    ports = plan.pieces if is_chunk else plan.steps
    return Inputs(check_row(plan, ports, given), is_chunk)


def describe_step(plan: StreamPlan) -> str:
    """A line that brings one step: all zeros, or dtype and shape where they would be many."""
    steps = plan.steps
    if len(steps) == 1:
        return f'{{"id": "a", "x": {_example(steps[0])}}}'
    named = ", ".join(f'"{port.name}": {_example(port)}' for port in steps)
    return f'{{"id": "a", "inputs": {{{named}}}}}'


def _example(port: Port) -> str:
    sizes = [axis for axis in port.shape[1:] if isinstance(axis, int)]
    if len(sizes) < _rank(port) or math.prod(sizes) > _SHOWN:
        return f"{port.dtype} {_shape(port)}"
    return json.dumps(np.zeros(sizes, port.dtype).tolist())


def _by_name(plan: StreamPlan, line: Line) -> Mapping[str, Any]:
    if line.inputs is not None:
        if line.has_x:
            raise InputError.of("line", '"x" and "inputs"', "one of them", 'leave out "x"')
        return plan.bind([line.inputs], {})
    if len(plan.steps) > 1:
        expected = f"{len(plan.steps)} inputs by name"
        raise InputError.of("line", '"x"', expected, f"write {describe_step(plan)}")
    return {plan.steps[0].name: line.x}


def _is_chunk(plan: StreamPlan, given: Mapping[str, Any]) -> bool:
    """Whether the inputs are one level deeper than those of a step; all of them must agree."""
    ports = [port for port in plan.steps if port.name in given]
    depths = [_depth(given[port.name]) for port in ports]
    deeper = {depth - _rank(port) for depth, port in zip(depths, ports, strict=True)}
    if deeper <= {0} or deeper == {1}:
        return deeper == {1}
    raise InputError(*_depth_reasons(ports, depths))


def _depth_reasons(ports: Sequence[Port], depths: Sequence[int]) -> list[Reason]:
    return [
        Reason(
            f"input {port.name!r}",
            f"lists {depth} deep" if depth else "no list",
            f"{_rank(port)} deep for one step {_shape(port)}, one deeper for a chunk",
            "nest it so; several inputs all as a step or all as a chunk",
        )
        for port, depth in zip(ports, depths, strict=True)
    ]


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth


def _rank(port: Port) -> int:
    """How deep one step of one stream is nested: the axes but for the batch."""
    return len(port.shape) - 1


def _shape(port: Port) -> str:
    axes = ", ".join(map(str, port.shape[1:]))
    return f"({axes},)" if _rank(port) == 1 else f"({axes})" if axes else "scalar"
