"""Errors of random models against float64, TensorFlow's own beside them (DESIGN.md, law 7).

    ./scripts/accuracy                  200 models, about ten minutes on two idle cores
    ./scripts/accuracy --n 20 --seed 3  others

Models are those of scripts/fuzz. Each is exported, which stores TensorFlow's outputs and the
float64 truth, and verified; its ratio is the quadratic mean of rnnport's errors over that of
TensorFlow's, on golden runs of ordinary inputs (every shape and mask; not those times 1000, nor
those of a thousand steps), both counted as at least half a unit in the last place.
artifacts/parity/accuracy.json holds every model's.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import statistics
import sys
import tempfile
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rnnport.parity.facts import Accuracy
from rnnport.parity.tolerance import MEDIAN_RATIO, WORST_RATIO

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "artifacts" / "parity" / "accuracy.json"
FLOOR = 2.0**-24


def measure(n: int, seed: int) -> list[dict[str, Any]]:
    """One process's share."""
    import rnnport
    from rnnport.artifact.golden import read_golden
    from rnnport.cli.quiet import load_exporter

    load_exporter()
    from tests.sweep.build import build
    from tests.sweep.search import drawn

    warnings.simplefilter("ignore")
    console, found = Console(stderr=True), []
    with tempfile.TemporaryDirectory() as name, Progress(console=console) as progress:
        task = progress.add_task("random models", total=n)
        for case in drawn("all", n, seed):
            artifact = rnnport.export(
                build(case), Path(name) / "out", overwrite=True, target=case.target
            )
            report = rnnport.verify(artifact, checks=["shapes", "masks", "accuracy"])
            golden = read_golden(artifact.path / artifact.manifest.golden.file)
            ordinary = {c.name for c in golden if c.kind in ("shapes", "masks")}
            found.append(figures(repr(case), report.accuracy, ordinary, report.passed))
            progress.advance(task)
    return found


def figures(
    model: str, accuracy: Sequence[Accuracy], ordinary: set[str], passed: bool
) -> dict[str, Any]:
    """What is kept of one model."""
    runs = [run for run in accuracy if run.case in ordinary]
    ours, theirs = mean([run.error for run in runs]), mean([run.tensorflow for run in runs])
    return {
        "model": model,
        "truth": sorted({run.truth for run in runs}),
        "runs": len(runs),
        "rnnport": float(f"{ours:.3g}"),
        "tensorflow": float(f"{theirs:.3g}"),
        "ratio": round(ours / theirs, 4),
        "passed": passed,
    }


def mean(errors: Sequence[float]) -> float:
    """The quadratic mean, at least half a unit in the last place."""
    if not errors:
        return FLOOR
    return max(math.sqrt(statistics.fmean(e * e for e in errors)), FLOOR)


def spread(n: int, seed: int, jobs: int) -> list[dict[str, Any]]:
    shares = [n // jobs + (i < n % jobs) for i in range(jobs)]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        parts = list(pool.map(measure, shares, range(seed, seed + jobs)))
    return [model for part in parts for model in part]


def shown(models: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="Farthest from the truth, beside TensorFlow")
    for column in ("ratio", "rnnport", "TensorFlow", "model"):
        table.add_column(column, overflow="fold")
    for one in sorted(models, key=lambda m: -m["ratio"])[:5]:
        table.add_row(
            f"{one['ratio']:.2f}", f"{one['rnnport']:.1e}", f"{one['tensorflow']:.1e}", one["model"]
        )
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="how many models")
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same models")
    parser.add_argument("--jobs", type=int, default=2, help="processes, each with its own seed")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    models = spread(given.n, given.seed, given.jobs)
    ratios = [model["ratio"] for model in models]
    median, worst = statistics.median(ratios), max(ratios)
    console = Console()
    console.print(shown(models))
    console.print(
        f"{len(models)} models: median ratio {median:.3f} (at most {MEDIAN_RATIO}), "
        f"worst {worst:.2f} (at most {WORST_RATIO})"
    )
    given.out.parent.mkdir(parents=True, exist_ok=True)
    facts = {"models": models, "median": median, "worst": worst, "seed": given.seed}
    given.out.write_text(json.dumps(facts, indent=1) + "\n")
    passed = all(model["passed"] for model in models)
    return 0 if passed and median <= MEDIAN_RATIO and worst <= WORST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
