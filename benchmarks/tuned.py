"""`rnnport tune` against both targets as exported, on the sizes it was given.

    .venv/bin/python benchmarks/tuned.py    writes artifacts/bench/tuned-cpu.json and a table

For each model: export for "cpu" and "portable", tune the former, load all three, race them at every
size in one process, and compare their outputs there.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import numpy as np
from timing import CORES, cpu_model, race

import rnnport
from rnnport.cli.quiet import load_exporter
from rnnport.versions import library_versions

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "artifacts" / "bench" / "tuned-cpu.json"
BATCHES, TIMES = (1, 8, 32), (1, 100)
SECONDS = 1.0


def models() -> Iterator[tuple[str, Any, str]]:
    """Title, Workload and mask of each model."""
    from suite.workloads import Model

    for kind in ("LSTM", "GRU", "SimpleRNN"):
        yield f"{kind} 64→128", Model("grid", kind, 64, 128), "plain"
        yield (
            f"{kind} 64→128, random mask",
            Model("grid", kind, 64, 128, masked=True),
            "random mask",
        )
    yield "BiGRU 64→128", Model("bidirectional", "GRU", 64, 128), "plain"
    yield "documented cell 64→128", Model("custom cell", "documented cell", 64, 128), "plain"


def measure(title: str, model: Any, mask: str) -> Iterator[dict[str, Any]]:
    """A row for every size."""
    from suite.models import build
    from suite.subject import Subject
    from suite.workloads import Workload

    with tempfile.TemporaryDirectory() as folder:
        subject = Subject(model, build(model), Path(folder), CORES)
        cpu, portable = subject.artifact("cpu"), subject.artifact("portable")
        tuned = Path(folder) / "tuned"
        found = rnnport.tune(cpu.path, batch=BATCHES, time=TIMES, threads=CORES, out=tuned)
        sources = {"tuned": tuned if found.changed else cpu.path, "cpu": cpu, "portable": portable}
        runners = {
            name: rnnport.load(source, provider="cpu", threads=CORES)
            for name, source in sources.items()
        }
        kept = {(row.size.batch, row.size.time): row.layout for row in found.kept}
        switched = [f"{one.form} {one.layer}: {one.now} → {one.then}" for one in found.switched]
        for batch in BATCHES:
            for time in TIMES:
                arrays = subject.arrays(Workload(model, batch, time, mask))
                calls = {name: partial(one.run, *arrays) for name, one in runners.items()}
                error = np.abs(calls["tuned"]() - calls["cpu"]()).max()
                seconds, _, others = race(calls, SECONDS)
                yield {
                    "model": title,
                    "batch": batch,
                    "time": time,
                    "us": {name: round(s * 1e6, 2) for name, s in seconds.items()},
                    "layout": kept[batch, time],
                    "switched": switched,
                    "error": float(error),
                    "others_share": round(others, 3),
                }


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    us = row["us"]
    ratios = " | ".join(f"{us[name] / us['tuned']:.2f}" for name in ("cpu", "portable"))
    size = f"{row['batch']}×{row['time']}"
    return f"| {row['model']}, {size} | {us['tuned']:,.1f} | {ratios} | {row['layout']} |"


def main() -> None:
    load_exporter()
    rows = []
    print("| | tuned, µs | cpu / tuned | portable / tuned | layout |\n|---|--:|--:|--:|---|")
    for title, model, mask in models():
        for row in measure(title, model, mask):
            rows.append(row)
            print(line(row), flush=True)
    head = {
        "cpu": cpu_model(),
        "cores": CORES,
        "versions": library_versions("onnxruntime-gpu", "numpy"),
        "seconds": SECONDS,
    }
    OUT.write_text(json.dumps({**head, "rows": rows}, indent=1, ensure_ascii=False) + "\n")
    worst = min(row["us"]["portable"] / row["us"]["tuned"] for row in rows)
    print(
        f"\nslowest against portable {worst:.2f}, worst error {max(r['error'] for r in rows):.1e}"
    )


if __name__ == "__main__":
    main()
