"""Says what outputs ought to be, where TensorFlow and a runtime differ by more than the bound.

The graph itself is asked, in float64, after it has been shown to give on the golden inputs what
TensorFlow gave in float64 there: a graph that computes something else is no judge of its own case.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from rnnport.artifact.golden import TENSORFLOW
from rnnport.parity.exact import ExactGraph, agrees
from rnnport.parity.subject import Subject

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
    def _graph(self) -> ExactGraph | None:
        subject = self._subject
        witnesses = [
            c for c in subject.golden if c.source == TENSORFLOW and c.kind in ("shapes", "masks")
        ]
        try:
            graph = ExactGraph(subject.artifact.forms["model"], subject.runner.output_names)
            fit = all(agrees(graph(case.inputs), case.truth) for case in witnesses)
        except Exception:  # not installed, or an operator that it does not take
            return None
        return graph if witnesses and fit else None
