"""Says what outputs ought to be, where TensorFlow and a runtime differ by more than the bound.

The graph itself is asked, in float64, after it has been shown to give on the golden inputs what
TensorFlow gave in float64 there: a graph that computes something else is no judge of its own case.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.artifact.golden import TENSORFLOW, GoldenCase
from rnnport.magnitude import magnitude
from rnnport.parity.exact import ExactGraph, agrees
from rnnport.parity.subject import Subject
from rnnport.parity.tolerance import WORST_RATIO

__all__ = ["Arbiter"]

Arrays = Mapping[str, NDArray[Any]]


class Arbiter:
    """Opened and examined when it is first asked.

    Args:
        subject: whose model form is to be judged.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    def truth(self, inputs: Arrays) -> Arrays:
        """Outputs in float64, or nothing where there is no judge."""
        graph = self._graph
        if graph is None:
            return {}
        try:
            return graph(inputs)
        except Exception:  # what an operator's Python implementation raises
            return {}

    @cached_property
    def trust(self) -> float:
        """How far from the truth a live model may be, over max(1, its magnitude), and still be it.

        As far as TensorFlow was on the golden inputs, times WORST_RATIO. A live model that is
        farther off is another model: its own distance must not excuse a difference from it.
        """
        return WORST_RATIO * max(
            (_apart(case, name) for case in self._witnesses for name in case.truth), default=0.0
        )

    @cached_property
    def _witnesses(self) -> list[GoldenCase]:
        ordinary = ("shapes", "masks")
        return [c for c in self._subject.golden if c.source == TENSORFLOW and c.kind in ordinary]

    @cached_property
    def _graph(self) -> ExactGraph | None:
        subject, witnesses = self._subject, self._witnesses
        try:
            graph = ExactGraph(subject.artifact.forms["model"], subject.runner.output_names)
            fit = all(agrees(graph(case.inputs), case.truth) for case in witnesses)
        except Exception:  # not installed, or an operator that it does not take
            return None
        return graph if witnesses and fit else None


def _apart(case: GoldenCase, name: str) -> float:
    """TensorFlow's own distance from the truth."""
    truth, given = (side[name].astype(np.float64) for side in (case.truth, case.outputs))
    scale = magnitude(truth)
    return float(np.abs(given - truth).max(initial=0.0)) / scale
