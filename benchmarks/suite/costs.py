"""What a model costs before the first answer: export, size, loading, the first run."""

from __future__ import annotations

import statistics
from typing import Any

from timing import timed

import rnnport
from suite.peers.sessions import open_session
from suite.subject import Subject
from suite.workloads import Workload

__all__ = ["model_costs"]

LOADS = 3


def model_costs(subject: Subject, work: Workload) -> dict[str, Any]:
    """The model record: seconds and bytes by contender.

    Args:
        subject: exported already.
        work: whose inputs the first runs take.
    """
    artifact = subject.artifact("cpu")
    arrays = subject.arrays(work)

    def ours() -> Any:
        return rnnport.load(artifact.path, provider="cpu", threads=subject.threads)

    name = f"{subject.model.title}{', masked' if subject.model.masked else ''}"
    record: dict[str, Any] = {
        "model": name,
        "family": subject.model.family,
        "first run of": work.key,
        "export_s": {key: round(value, 3) for key, value in subject.seconds.items()},
        "bytes": {"rnnport": artifact.forms["model"].stat().st_size},
        "load_s": {"rnnport": _median(ours)},
        "first_run_s": {"rnnport": _first(ours(), arrays)},
        "lowering": [layer.lowering for layer in artifact.manifest.layers],
    }
    if "tf2onnx export" in subject.seconds:
        path = subject.tf2onnx_file
        record["bytes"]["tf2onnx"] = path.stat().st_size
        record["load_s"]["tf2onnx"] = _median(lambda: open_session(path, subject.threads))
        session = open_session(path, subject.threads)
        names = [value.name for value in session.get_inputs()]
        feeds = dict(zip(names, arrays, strict=True))
        first = timed(lambda: session.run(None, feeds))
        record["first_run_s"]["tf2onnx"] = round(first, 6)
    weights = sum(weight.nbytes for weight in subject.keras.get_weights())
    record["bytes"]["weights"] = weights
    return record


def _median(load: Any) -> float:
    return round(statistics.median(timed(load) for _ in range(LOADS)), 5)


def _first(runner: Any, arrays: list[Any]) -> float:
    return round(timed(lambda: runner.run(*arrays)), 6)
