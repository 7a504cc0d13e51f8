"""What is being verified: an artifact opened on one backend, and what it was proven with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rnnport.artifact.golden import GoldenCase
from rnnport.artifact.load import Artifact
from rnnport.errors import InputError, UsageError
from rnnport.parity.failure import failure
from rnnport.parity.tolerance import BUDGETS, TOLERANCES
from rnnport.runtime.runner import Runner
from rnnport.runtime.session import open_session
from rnnport.samples import affordable
from rnnport.spec import Form, Manifest

__all__ = ["Run", "Subject", "attempt", "run_form"]

Arrays = Mapping[str, NDArray[Any]]
Run = Callable[[Arrays], Arrays]
"""Input name to array in, output name to array out."""


@dataclass(frozen=True, eq=False)
class Subject:
    """An artifact on one backend.

    Attributes:
        artifact: opened and checked.
        runner: its model form.
        golden: what it was proven with.
        seed: of everything drawn; the same seed draws the same.
    """

    artifact: Artifact
    runner: Runner
    golden: Sequence[GoldenCase]
    seed: int = 0

    @property
    def manifest(self) -> Manifest:
        """What rnnport.json says."""
        return self.artifact.manifest

    @property
    def model(self) -> Form:
        """The whole form."""
        return self.manifest.forms["model"]

    @property
    def provider(self) -> str:
        """The backend that really runs."""
        return self.runner.provider

    @property
    def tolerance(self) -> float:
        """Against TensorFlow, on this backend."""
        return TOLERANCES[self.provider]

    @property
    def exact(self) -> bool:
        """Whether it must equal TensorFlow; other precisions are held to a budget."""
        return self.manifest.precision == "float32"

    @property
    def stream_tolerance(self) -> float:
        """Between runs of one form with states."""
        return TOLERANCES["stream"] if self.exact else BUDGETS[self.manifest.precision].stream

    @property
    def timed(self) -> list[str]:
        """Outputs of the whole form whose axis 1 is time."""
        return [p.name for p in self.model.outputs if str(p.shape[1:2]).startswith("['T")]

    @cached_property
    def smallest(self) -> dict[str, int]:
        """For every axis letter the smallest size it was seen at, B left at its own."""
        found: dict[str, int] = {}
        for case in self.golden:
            for port in self.model.inputs:
                for letter, size in zip(port.shape, case.inputs[port.name].shape, strict=True):
                    if isinstance(letter, str):
                        found[letter] = min(size, found.get(letter, size))
        return found

    def sizes(self, batch: int, longer: int) -> dict[str, int]:
        """Sizes for a run: so many rows, times so much above a small length that ran.

        A length of one step is small, but a poor guide to what layers do with several.
        """
        floors = {a: max(n, 4) for a, n in self.smallest.items() if a != "B"}
        wished = {a: n + longer + 2 * i for i, (a, n) in enumerate(floors.items())}
        wished |= {"B": batch} if "B" in self.smallest else {}
        return affordable(self.model.inputs, wished, floors)

    def form(self, name: str) -> Run:
        """Another form of the artifact, on the same backend."""
        return run_form(self.artifact.forms[name], self.manifest.forms[name], self.provider)


def run_form(path: Path, form: Form, provider: str = "cpu") -> Run:
    """A form on a backend, states among its inputs and outputs.

    Args:
        path: the form's file.
        form: what it holds.
        provider: a resolved provider.
    """
    session = open_session(path, provider)
    names = [*(p.name for p in form.outputs), *(s.output for s in form.states)]

    def run(inputs: Arrays) -> Arrays:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run


def attempt(run: Run, inputs: Arrays) -> tuple[Arrays, str]:
    """Run, or say in one line why not. Runtimes and models raise what they like."""
    try:
        return run(inputs), ""
    except UsageError as error:
        if not isinstance(error, InputError):
            raise
        return {}, str(error.reasons[0])
    except Exception as error:
        return {}, failure(error)
