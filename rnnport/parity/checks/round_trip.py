"""States leave a stream and come back, and nothing is lost on the way (DESIGN.md, law 8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnport.parity.compare import Comparison, compare_all
from rnnport.parity.subject import Arrays, Subject, attempt
from rnnport.runtime.stepper import Stepper
from rnnport.samples import draw
from rnnport.spec import Check, Form

__all__ = ["check_round_trip"]

_SEED = 110_000
_ROWS, _BEFORE, _AFTER = 2, 4, 3


def check_round_trip(subject: Subject) -> list[Check]:
    """Go on from a snapshot, and from states that were read and assigned; both must be bit-equal.

    Each is compared with the stream that was not interrupted.
    """
    if "stream" not in subject.manifest.forms:
        return []
    form = subject.manifest.forms["stream"]
    rows = form.inputs[0].shape[0] if isinstance(form.inputs[0].shape[0], int) else _ROWS
    walk = _Walk(subject, form, int(rows))
    names = [port.name for port in form.outputs]
    ways: list[tuple[str, Callable[[Stepper], Stepper]]] = [
        ("a snapshot restored", walk.restored),
        ("states read and assigned", walk.assigned),
    ]
    expected, note = attempt(lambda _: walk.outputs(lambda stepper: stepper), {})
    comparisons = []
    for name, way in ways:
        received, trouble = attempt(lambda _, way=way: walk.outputs(way), {})  # type: ignore[misc]
        comparisons.append(Comparison(name, expected, received, note or trouble, "round trip"))
    return compare_all("round trip", comparisons, names, 0.0, constants=True)


class _Walk:
    """Steps before and after the interruption."""

    def __init__(self, subject: Subject, form: Form, rows: int) -> None:
        self._runner, self._form, self._rows = subject.runner, form, rows
        ports = {p.name: p for p in (*subject.model.inputs, *form.inputs)}
        sizes = {"B": rows, "T": _BEFORE + _AFTER}
        seed = _SEED + subject.seed
        own = [port.timed() for port in form.per_step]
        self._steps = draw(own, sizes, seed=seed)
        starts = [state.start for state in form.states if state.start]
        held = [ports[name] for name in dict.fromkeys([*form.fixed, *starts])]
        self._held = draw(held, sizes, seed=seed + 1)

    def outputs(self, way: Callable[[Stepper], Stepper]) -> Arrays:
        """Outputs of the steps after the interruption, (steps, B, …)."""
        stepper = self._stepper()
        for at in range(_BEFORE):
            self._step(stepper, at)
        stepper = way(stepper)
        found = [self._step(stepper, at) for at in range(_BEFORE, _BEFORE + _AFTER)]
        return {p.name: np.stack([step[p.name] for step in found]) for p in self._form.outputs}

    def restored(self, stepper: Stepper) -> Stepper:
        """Another stepper, from this one's snapshot."""
        other = self._stepper()
        other.restore(stepper.snapshot())
        return other

    def assigned(self, stepper: Stepper) -> Stepper:
        """Another stepper, from this one's states."""
        other = self._stepper()
        other.state = stepper.state
        return other

    def _stepper(self) -> Stepper:
        return self._runner.stepper(self._rows, fixed=self._held or None)

    def _step(self, stepper: Stepper, at: int) -> Arrays:
        given = {name: np.ascontiguousarray(array[:, at]) for name, array in self._steps.items()}
        return dict(
            zip((p.name for p in self._form.outputs), _leaves(stepper.step(**given)), strict=True)
        )


def _leaves(nest: Any) -> list[NDArray[Any]]:
    """The arrays of a nest, in order."""
    if isinstance(nest, dict):
        return [leaf for item in nest.values() for leaf in _leaves(item)]
    if isinstance(nest, (tuple, list)):
        return [leaf for item in nest for leaf in _leaves(item)]
    return [nest]
