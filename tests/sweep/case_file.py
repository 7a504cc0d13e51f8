"""Cases as files: the corpus of what once failed, and what a run of scripts/fuzz found."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.sweep.build import Case
from tests.sweep.fault import Fault
from tests.sweep.pair import Pair
from tests.sweep.script import digest, script
from tests.sweep.stack import Stack

CORPUS = Path(__file__).resolve().parent.parent / "corpus"
_FAMILIES: dict[str, type[Stack] | type[Pair]] = {"Stack": Stack, "Pair": Pair}


def write_case(path: Path, case: Case, broke: str) -> None:
    """A case with a line saying what it broke."""
    content = {"broke": broke, "family": type(case).__name__, "model": case.to_plain()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_case(path: Path) -> Case:
    """Back again.

    Raises:
        KeyError, TypeError: a family or a field that is not known.
    """
    content = json.loads(path.read_text())
    return _FAMILIES[content["family"]].from_plain(content["model"])


def name_of(case: Case, fault: Fault) -> str:
    """A file name that says how the case fails."""
    told = re.sub(r"[^a-z0-9]+", "-", fault.kind.lower()).strip("-")
    return f"{told}-{digest(case)}"


def write_failure(folder: Path, case: Case, fault: Fault) -> Path:
    """A script that shows the fault, and the case beside it; gives the script's path."""
    path = folder / f"{name_of(case, fault)}.py"
    write_case(path.with_suffix(".json"), case, f"{fault.kind}: {fault.text[:200]}")
    path.write_text(script(case, fault))
    return path
