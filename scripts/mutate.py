"""Plant known faults into three artifacts, one at a time, and see whether verify names each.

    ./scripts/mutate                        the whole check, some minutes
    ./scripts/mutate --seeds 5 --out FILE   fewer seeds on the clean graphs; where to write

Three artifacts (masked bidirectional, stacked stateful, encoder-decoder with attention) are made;
every fault goes into every graph it applies to, operator counts and hashes in the manifest are
brought up to date, so that nothing but behaviour tells, and verify is asked without the model. It
must fail, in a check of the right kind, and nowhere that asks something else. Clean artifacts must
pass at every seed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import onnx
from mutation_faults import FAULTS, Fault, Where
from mutation_subjects import SUBJECTS, make
from rich.console import Console
from rich.progress import track
from rich.table import Table

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.artifact.manifest import MANIFEST_FILE, encode, record
from rnnport.cli.quiet import load_exporter
from rnnport.parity.report import ParityReport

SEEDS = 50
OUT = Path(__file__).resolve().parents[1] / "artifacts" / "parity" / "mutations.json"


@dataclass(frozen=True)
class Row:
    """What came of one fault in one graph."""

    subject: str
    form: str
    fault: str
    caught: bool
    kinds: list[str]
    first: str
    start: str


def plant(artifact: Artifact, form: str, fault: Fault, folder: Path) -> Artifact | None:
    """A copy of the artifact with the fault in one graph; None where it does not apply."""
    shutil.copytree(artifact.path, folder)
    manifest = artifact.manifest
    path = folder / manifest.forms[form].record.file
    model = onnx.load(path)
    if not fault.plant(Where(model.graph, manifest.forms[form], manifest.layers)):
        return None
    onnx.checker.check_model(model)
    onnx.save(model, path)
    counts = Counter(node.op_type for graph in _graphs(model.graph) for node in graph.node)
    changed = msgspec.structs.replace(
        manifest.forms[form], record=record(path), op_counts=dict(counts)
    )
    forms = {**manifest.forms, form: changed}
    (folder / MANIFEST_FILE).write_bytes(encode(msgspec.structs.replace(manifest, forms=forms)))
    return rnnport.open(folder)


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def judge(subject: str, form: str, fault: Fault, report: ParityReport) -> Row:
    """Whether a check of the right kind failed, and none that asks something else."""
    kinds = list(dict.fromkeys(check.kind for check in report.failures))
    right = set(fault.caught[form]) & set(kinds)
    wrong = set(fault.silent) & set(kinds) if form == "model" else set()
    telling = [c for c in report.failures if c.kind in right] or list(report.failures)
    return Row(
        subject,
        form,
        fault.name,
        bool(right) and not wrong,
        kinds,
        telling[0].name if telling else "",
        telling[0].start if telling else "",
    )


def mutants(artifacts: dict[str, Artifact], scratch: Path) -> Iterator[Row]:
    """Every fault in every graph it applies to."""
    for subject, artifact in artifacts.items():
        for form in artifact.forms:
            for fault in FAULTS:
                folder = scratch / "mutant"
                shutil.rmtree(folder, ignore_errors=True)
                if form in fault.forms and (spoilt := plant(artifact, form, fault, folder)):
                    yield judge(subject, form, fault, rnnport.verify(spoilt))


def alarms(artifacts: dict[str, Artifact], seeds: int) -> list[dict[str, Any]]:
    """Failed checks of clean artifacts, at any seed."""
    found = []
    for subject, artifact in artifacts.items():
        for seed in track(range(seeds), f"{subject}, clean"):
            report = rnnport.verify(artifact, seed=seed)
            found += [
                {"subject": subject, "seed": seed, **msgspec.to_builtins(check)}
                for check in report.failures
            ]
    return found


def table(rows: list[Row]) -> Table:
    shown = Table(title="Planted faults")
    for column in ("artifact", "graph", "fault", "verdict", "failed checks", "where it starts"):
        shown.add_column(column, overflow="fold")
    for row in rows:
        verdict = "[green]caught[/green]" if row.caught else "[bold red]MISSED[/bold red]"
        place = row.start.partition(", worst")[0]
        shown.add_row(row.subject, row.form, row.fault, verdict, ", ".join(row.kinds), place)
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the clean artifacts")
    parser.add_argument("--out", type=Path, default=OUT, help="a JSON file for the results")
    given = parser.parse_args()
    console = Console()
    with console.status("loading TensorFlow"):
        load_exporter()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        artifacts = {s: make(s, scratch / s.replace(" ", "_"))[1] for s in SUBJECTS}
        rows = list(mutants(artifacts, scratch))
        false = alarms(artifacts, given.seeds)
    console.print(table(rows))
    caught, planted = sum(row.caught for row in rows), {row.fault for row in rows}
    console.print(
        f"{caught} of {len(rows)} caught, {len(planted)} of {len(FAULTS)} faults planted; "
        f"{len(false)} false alarms in {given.seeds} seeds of {len(artifacts)} clean artifacts"
    )
    for alarm in false[:5]:
        console.print(f"[red]false alarm[/red] {alarm}")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    facts = {"mutants": [asdict(row) for row in rows], "seeds": given.seeds, "alarms": false}
    given.out.write_text(json.dumps(facts, indent=1) + "\n")
    return 0 if caught == len(rows) and len(planted) == len(FAULTS) and not false else 1


if __name__ == "__main__":
    sys.exit(main())
