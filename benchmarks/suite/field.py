"""The contenders of one model, ready, and why the others are not."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnport.cli.quiet import silent_stderr
from suite.costs import model_costs
from suite.greedy import greedy_field
from suite.models import build
from suite.peers.base import Bind, CannotRun, Run
from suite.peers.registry import PEERS
from suite.subject import Subject
from suite.workloads import Model, Workload

__all__ = ["Field", "reason", "standing"]


@dataclass
class Field:
    """Who takes part.

    Attributes:
        model: what it is about.
        bind: contender to what makes its call for a workload.
        absent: contender to why it does not take part.
        costs: what the model record says.
    """

    model: Model
    bind: dict[str, Callable[[Workload], Run]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    costs: dict[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def standing(model: Model, threads: int, work: Workload) -> Iterator[Field]:
    """A field whose files live as long as the block.

    Args:
        model: to build and export.
        threads: for every contender.
        work: for first runs.
    """
    import keras

    with tempfile.TemporaryDirectory() as folder:
        if model.family == "greedy":
            ready, absent = greedy_field(model.kind, Path(folder), threads)
            yield Field(model, ready, absent)
        else:
            yield _prepared(Subject(model, build(model), Path(folder), threads), work)
    keras.backend.clear_session()


def _prepared(subject: Subject, work: Workload) -> Field:
    found = Field(subject.model)
    for peer in PEERS:
        try:
            with silent_stderr():
                bind = peer.prepare(subject)
        except CannotRun as error:
            found.absent[peer.name] = str(error)
        except Exception as error:
            if peer.role == "ours":
                raise
            found.absent[peer.name] = reason(error)
        else:
            found.bind[peer.name] = _of_work(bind, subject)
    found.costs = model_costs(subject, work)
    return found


def _of_work(bind: Bind, subject: Subject) -> Callable[[Workload], Run]:
    return lambda work: bind(subject.arrays(work))


def reason(error: Exception) -> str:
    """The first line of what a library said."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:160]}"
