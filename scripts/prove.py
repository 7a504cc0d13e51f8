"""The mission's own proof: every mission row and the published models on every backend.

    ./scripts/prove                      all of it: about an hour on two cores
    ./scripts/prove --rows K1 K16 T2     some rows
    ./scripts/prove --artifacts DIR      artifacts kept by an earlier --keep DIR; no TensorFlow

Every row's tests are run and leave the artifacts they export; `rnnport verify` is asked about each
on each backend. docs/parity.md, its picture and artifacts/parity/*.json are written from what came
back, and from nothing else; rows that were not run anew keep what their last run saw.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from prove_models import REAL, ROOT, collect_rows, export_real
from prove_page import draw, page
from rich.console import Console
from rich.progress import Progress

sys.path.insert(0, str(ROOT))

OUT = ROOT / "artifacts" / "parity"
WEB = ROOT / ".cache" / "web" / "node_modules"
JOBS = 2


def backends() -> dict[str, str]:
    """Backends by name, and why those that do not run here do not."""
    from rnnport.errors import ProviderUnavailable
    from rnnport.runtime.backends.registry import BACKENDS

    found = {}
    for name, backend in BACKENDS.items():
        try:
            backend.require()
            found[name] = ""
        except ProviderUnavailable as error:
            found[name] = f"{error.reasons[0].received}"
    return found


def verify_one(path: str, provider: str) -> dict[str, Any]:
    """What is kept of one report; a crash of a backend is a failure like any other."""
    import rnnport

    try:
        report = rnnport.verify(path, provider=provider)
    except Exception as error:
        return {"verdict": "crashed", "note": f"{type(error).__name__}: {str(error)[:300]}"}
    plain = report.to_dict()
    worst: dict[str, float] = {}
    for check in report.checks:
        if check.error is not None and check.bound:
            ratio = check.error / check.bound
            worst[check.kind] = max(worst.get(check.kind, 0.0), ratio)
    return {
        "verdict": "lacks" if report.lacks else "passed" if report.passed else "failed",
        "checks": len(report.checks),
        "worst": {kind: float(f"{ratio:.3g}") for kind, ratio in worst.items()},
        "lacks": plain["lacks"],
        "failures": [c for c in plain["checks"] if not c["passed"]][:5],
        "ratios": [round(a.ratio, 3) for a in report.accuracy],
        "seconds": round(report.seconds, 2),
    }


def label_of(folder: Path) -> str:
    return folder.name.partition("~")[0]


def artifacts(folder: Path, rows: list[str]) -> Iterator[tuple[str, Path]]:
    for row in rows:
        for path in sorted((folder / row).glob("*")):
            yield row, path


def verify_all(folder: Path, rows: list[str], names: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Row to what each backend said of each of its models."""
    found: dict[str, dict[str, dict[str, Any]]] = {row: {} for row in rows}
    work = [(row, path, name) for row, path in artifacts(folder, rows) for name in names]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(JOBS, context) as pool, Progress() as progress:
        task = progress.add_task("verifying", total=len(work))
        futures = {pool.submit(verify_one, str(p), n): (row, p, n) for row, p, n in work}
        for future in as_completed(futures):
            row, path, name = futures[future]
            entry = found[row].setdefault(path.name, {"model": label_of(path), "backends": {}})
            entry["backends"][name] = future.result()
            progress.advance(task)
    return {row: [models[key] for key in sorted(models)] for row, models in found.items()}


def write(found: dict[str, list[dict[str, Any]]], facts: dict[str, Any]) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for row, models in found.items():
        name = row.replace(" ", "-")
        content = {"row": row, **facts, "models": models}
        (OUT / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read(row: str) -> list[dict[str, Any]]:
    """What the last run of a row saw; nothing where it never ran."""
    path = OUT / f"{row.replace(' ', '-')}.json"
    return list(json.loads(path.read_text())["models"]) if path.exists() else []


def measured(whole: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The backends that every model was verified on."""
    seen = [set(model["backends"]) for models in whole.values() for model in models]
    return [name for name in backends() if all(name in one for one in seen)]


def main() -> int:
    from tests.support_rows import ROWS

    every = [*ROWS, REAL]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=every, default=every, metavar="ROW")
    parser.add_argument("--artifacts", type=Path, help="kept earlier; nothing is exported")
    parser.add_argument("--keep", type=Path, help="keep the artifacts there")
    parser.add_argument("--backends", nargs="+", help="those alone")
    given = parser.parse_args()
    console, begun = Console(), time.perf_counter()
    if WEB.is_dir():
        os.environ.setdefault("RNNPORT_NODE_MODULES", str(WEB))
    from rnnport.parity.machine import machine, versions_here

    known = backends()
    names = [n for n, trouble in known.items() if not trouble and n in (given.backends or known)]
    for name in known:
        if name not in names:
            console.print(f"{name}: left out{': ' if known[name] else ''}{known[name]}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.artifacts or given.keep or Path(scratch)).resolve()
        if given.artifacts is None:
            mission = [row for row in given.rows if row != REAL]
            if mission and collect_rows(mission, folder):
                console.print("[red]the rows' own tests failed[/red]")
                return 1
            for missing in export_real(folder) if REAL in given.rows else ():
                console.print(f"left out: {missing}")
        found = verify_all(folder, given.rows, names)
    facts = {
        "machine": machine(),
        "versions": {name: versions_here(name) for name in names},
        "left out": {name: why for name, why in known.items() if name not in names},
    }
    write(found, facts)
    bad = [
        f"{row}, {model['model']}, {name}: {result['verdict']}"
        for row, models in found.items()
        for model in models
        for name, result in model["backends"].items()
        if result["verdict"] in ("failed", "crashed")
    ]
    whole = {row: read(row) for row in every}
    if all(whole.values()) and names == measured(whole):
        (ROOT / "docs" / "parity.md").write_text(page(whole, facts, names, ROWS))
        draw(whole, names, ROOT / "docs" / "parity.png")
    count = sum(map(len, found.values()))
    console.print(f"{count} models on {', '.join(names)}: {time.perf_counter() - begun:.0f} s")
    for line in bad:
        console.print(f"[red]{line}[/red]")
    empty = [row for row, models in found.items() if not models]
    if empty:
        console.print(f"[red]rows without a model: {', '.join(empty)}[/red]")
    return 1 if bad or empty else 0


if __name__ == "__main__":
    sys.exit(main())
