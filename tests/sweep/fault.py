"""What went wrong with a model, and in which of the things that were asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rnnport.spec import Check


class Fault(AssertionError):
    """A model that does not do what it must.

    Attributes:
        kind: the question that was answered wrongly, and how: two models of one kind are taken
            to have the same fault.
        text: what was seen.
    """

    def __init__(self, kind: str, text: str) -> None:
        self.kind, self.text = kind, text
        super().__init__(f"{kind}: {text}")


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Whatever is raised inside is a fault of this stage; a refusal counts like any other."""
    try:
        yield
    except Fault:
        raise
    except Exception as error:
        text = str(error)
        told = " uninformative" if "uninformative" in text else ""
        raise Fault(f"{name}: {type(error).__name__}{told}", text) from error


def demand(holds: bool, kind: str, seen: object) -> None:
    """Raise a Fault where something does not hold."""
    if not holds:
        raise Fault(kind, str(seen))


def demand_passed(checks: tuple[Check, ...]) -> None:
    """Raise a Fault named after the first check that failed."""
    if not checks:
        raise Fault("verify: nothing", "no checks")
    failed = [check for check in checks if not check.passed]
    if not failed:
        return
    first = failed[0]
    question = first.kind or first.name.split()[0].rstrip(":")
    told = " uninformative" if "uninformative" in first.note else ""
    raise Fault(f"verify: {question}{told}", str(failed[:3]))
