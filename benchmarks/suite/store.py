"""The results: a JSON-lines file that grows row by row, so that a long run can go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Results", "Store", "disturbed", "read_results"]


@dataclass
class Results:
    """What a file holds; of records with the same name the last counts.

    Attributes:
        header: machine, versions, threads, limits.
        rows: row key to its record, in the order they were measured.
        models: model name to what its export and loading cost.
        fresh: runtime to what a process of its own costs.
    """

    header: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    fresh: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, record: Mapping[str, Any]) -> None:
        """Take one line in.

        Raises:
            ValueError: a record of no known kind.
        """
        for kind, where in (("row", self.rows), ("model", self.models), ("fresh", self.fresh)):
            if kind in record:
                where[record[kind]] = dict(record)
                return
        if "header" not in record:
            raise ValueError(f"a record of no known kind: {', '.join(record)}")
        self.header = dict(record["header"])


def read_results(path: Path) -> Results:
    """Read a file; a last line that a cut run left half-written is left out.

    Raises:
        ValueError: another line is damaged.
    """
    found = Results()
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            found.add(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise ValueError(f"{path.name}, line {number}: {error}") from error
    return found


def disturbed(row: Mapping[str, Any], header: Mapping[str, Any]) -> bool:
    """Whether other processes or guests of the host took from a row more than the header allows.

    Results from before guests were looked for know of processes alone.
    """
    slowed = row.get("slowdown", 1.0) > header.get("neighbours", float("inf"))
    return bool(slowed or row["others_share"] > header["quiet"])


class Store:
    """Appends records to a file.

    Args:
        path: the file.
        header: what the run is measured with.
        resume: go on with what is there; else begin anew.

    Raises:
        ValueError: the file was measured with something else, or is damaged.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], *, resume: bool) -> None:
        self.path = path
        self.results = Results(dict(header))
        going_on = resume and path.exists() and path.stat().st_size > 0
        if going_on:
            self.results = read_results(path)
            if self.results.header != dict(header):
                raise ValueError(f"{path.name} was measured with other machine, versions or limits")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._rewrite()

    def _rewrite(self) -> None:
        """Whole lines only, in case the last one was cut."""
        found = self.results
        records = [*found.rows.values(), *found.models.values(), *found.fresh.values()]
        part = self.path.with_name(self.path.name + ".part")
        part.write_text("".join(map(_line, [{"header": found.header}, *records])), "utf-8")
        part.replace(self.path)

    def add(self, record: Mapping[str, Any]) -> None:
        """Write one record and keep it."""
        self.results.add(record)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(record))


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
