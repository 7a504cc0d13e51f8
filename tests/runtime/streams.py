"""Runners over tiny stream artifacts, made once for all tests, and how to compare with them."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnport.runtime.runner import Runner, load
from rnnport.samples import draw
from rnnport.spec import Port, Sampling
from tests.tiny_streams import GRAPHS, F, U, stream_artifact

NAMES = sorted(GRAPHS)
FIXED = {"speaker": "speaker", "started": "h0"}


@functools.cache
def _root() -> Path:
    root = tempfile.mkdtemp(prefix="rnnport-streams-")
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return Path(root)


@functools.cache
def folder(name: str) -> Path:
    """An artifact nobody may change."""
    return stream_artifact(_root() / name, GRAPHS[name](), name).path


@functools.cache
def runner(name: str) -> Runner:
    return load(folder(name), provider="cpu", threads=1)


def fixed(name: str, *shape: int, seed: int = 0) -> dict[str, np.ndarray] | None:
    """Fixed inputs (or a start value) for a model that has any."""
    if name not in FIXED:
        return None
    values = np.random.default_rng(seed).standard_normal((*shape, U))
    return {FIXED[name]: values.astype(np.float32)}


def ports(name: str) -> list[Port]:
    """Inputs of a chunk, (B, T, F…)."""
    if name == "one_step":
        return [Port(name="x", dtype="float32", shape=["B", "T", F], sampling=Sampling())]
    form = runner(name).manifest.forms["stream"]
    return [port for port in form.inputs if port.name not in form.fixed]


def chunk(name: str, batch: int, time: int, seed: int = 0) -> dict[str, np.ndarray]:
    return draw(ports(name), {"B": batch, "T": time}, seed=seed)


def cut(arrays: dict[str, np.ndarray], start: int, stop: int) -> dict[str, np.ndarray]:
    return {name: array[:, start:stop] for name, array in arrays.items()}


def at(arrays: dict[str, np.ndarray], step: int) -> dict[str, np.ndarray]:
    return {name: array[:, step] for name, array in arrays.items()}


def flat(outputs: Any) -> list[np.ndarray]:
    """Outputs in order, whatever they are nested in."""
    if isinstance(outputs, np.ndarray):
        return [outputs]
    return list(outputs.values() if isinstance(outputs, dict) else outputs)


def joined(parts: Sequence[Any], name: str) -> list[np.ndarray]:
    """Outputs of consecutive chunks as those of one: steps joined, of last outputs the last."""
    columns = zip(*map(flat, parts), strict=True)
    return [
        np.concatenate(column, axis=1) if timed else column[-1]
        for column, timed in zip(columns, timed_outputs(name), strict=True)
    ]


def timed_outputs(name: str) -> list[bool]:
    outputs = runner(name).manifest.forms["stream"].outputs
    return [name == "one_step" or len(port.shape) == 3 for port in outputs]


def same(found: Any, expected: Any, bound: float = 1e-6) -> None:
    for a, b in zip(flat(found), flat(expected), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=bound)
