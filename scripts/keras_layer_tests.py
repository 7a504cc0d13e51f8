"""Runs Keras's own tests of its recurrent layers, and exports every layer that they call.

Each distinct call (class, options, input shapes, mask, initial states) becomes a model of that
layer alone, is exported with open batch and time, and compared with Keras at fresh sizes and masks.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
import unittest
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import rnnport

L = keras.layers
MODULES = (
    "bidirectional",
    "conv_lstm1d",
    "conv_lstm2d",
    "conv_lstm3d",
    "conv_lstm",
    "gru",
    "lstm",
    "rnn",
    "simple_rnn",
    "stacked_rnn_cells",
    "time_distributed",
)
RECURRENT = (L.RNN, L.Bidirectional, L.TimeDistributed)
STANDARD = {"LSTM", "GRU", "SimpleRNN"}


@dataclass(frozen=True, eq=False)
class Call:
    """One call seen: the layer, and shapes and dtypes of what it was given."""

    layer: Any
    x: tuple[tuple[int, ...], str]
    states: tuple[tuple[int, ...], ...]
    mask: bool
    key: str

    @property
    def kind(self) -> str:
        """What a person would call it."""
        name = type(self.layer).__name__
        inner = getattr(self.layer, "layer", None) or getattr(self.layer, "forward_layer", None)
        if inner is not None:
            return f"{name}({type(inner).__name__})"
        cell = getattr(self.layer, "cell", None)
        plain = name in STANDARD or name.startswith("ConvLSTM")
        return name if plain or cell is None else f"{name}({type(cell).__name__})"


class Recorder:
    """Notes outermost calls of recurrent layers on real tensors."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self._depth = 0

    def seen(self, layer: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        x = args[0] if args else keywords.get("sequences", keywords.get("inputs"))
        states = keywords.get("initial_state")
        flat = [] if states is None else keras.tree.flatten(states)
        mask = keywords.get("mask") is not None
        if not all(_is_real(t) for t in [x, *flat]):
            return
        shapes = tuple(tuple(np.shape(s)) for s in flat)
        given = (tuple(np.shape(x)), keras.backend.standardize_dtype(x.dtype))
        key = json.dumps([type(layer).__name__, _config(layer), given[0][2:], given[1], mask])
        key += str([s[1:] for s in shapes])
        self.calls.setdefault(key, Call(layer, given, shapes, mask, key))

    @contextmanager
    def listening(self) -> Iterator[None]:
        original = L.Layer.__call__

        def heard(layer: Any, *args: Any, **keywords: Any) -> Any:
            if not isinstance(layer, RECURRENT):
                return original(layer, *args, **keywords)
            self._depth += 1
            try:
                y = original(layer, *args, **keywords)
            finally:
                self._depth -= 1
            if self._depth == 0:
                self.seen(layer, args, keywords)
            return y

        L.Layer.__call__ = heard
        try:
            yield
        finally:
            L.Layer.__call__ = original


def _is_real(tensor: Any) -> bool:
    return hasattr(tensor, "shape") and hasattr(tensor, "__array__") and hasattr(tensor, "dtype")


def _config(layer: Any) -> str:
    """Options without names: two layers of one kind are one call."""
    try:
        config = layer.get_config()
    except Exception:  # a test's own class without a config
        return f"{type(layer).__name__} {id(layer)}"

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in sorted(value.items()) if k not in ("name", "seed")}
        if isinstance(value, (list, tuple)):
            return [plain(v) for v in value]
        return value if isinstance(value, (int, float, str, bool, type(None))) else repr(value)

    return json.dumps(plain(config))


def record() -> tuple[list[Call], unittest.TestResult]:
    """Run Keras's tests and return every distinct call."""
    recorder, result = Recorder(), unittest.TestResult()
    suite = unittest.TestSuite()
    for name in MODULES:
        module = importlib.import_module(f"keras.src.layers.rnn.{name}_test")
        suite.addTests(unittest.defaultTestLoader.loadTestsFromModule(module))
    with recorder.listening():
        suite.run(result)
    return list(recorder.calls.values()), result


def model_of(call: Call) -> Any:
    """The layer alone in a functional model, batch and time open where it lets them be."""
    layer, (shape, dtype) = call.layer, call.x
    fixed = _fixed_batch(layer)
    batch = shape[0] if fixed else None
    time = shape[1] if getattr(layer, "unroll", False) else None
    x = keras.Input(batch_shape=(batch, time, *shape[2:]), dtype=dtype, name="x")
    states = [
        keras.Input(batch_shape=(batch, *s[1:]), name=f"s{i}") for i, s in enumerate(call.states)
    ]
    keywords: dict[str, Any] = {}
    if states:
        keywords["initial_state"] = states
    inputs = [x, *states]
    if call.mask:
        inputs.append(keras.Input(batch_shape=(batch, time), dtype="bool", name="mask"))
        keywords["mask"] = inputs[-1]
    return keras.Model(inputs, layer(x, **keywords))


def _fixed_batch(layer: Any) -> bool:
    parts = (layer, getattr(layer, "layer", None), getattr(layer, "forward_layer", None))
    return any(getattr(part, "stateful", False) for part in parts)


@dataclass(frozen=True)
class Outcome:
    """What became of one call."""

    kind: str
    how: str
    error: float
    fault: str = ""


def export(call: Call, folder: Path) -> Outcome:
    """Export, compare, count."""
    try:
        model = model_of(call)
        artifact = rnnport.export(model, folder, overwrite=True)
        report = rnnport.verify(artifact, model=model)
    except Exception as error:  # counted, and shown
        return Outcome(call.kind, "-", np.nan, f"{type(error).__name__}: {error}"[:600])
    ops = artifact.manifest.forms["model"].op_counts
    how = next((o for o in ("Loop", "Scan") if o in ops), "fused")
    worst = max((c.error or 0.0 for c in report.checks), default=0.0)
    fault = "" if report.passed else str(report.failures[0])
    if how == "Loop":
        fault = fault or "Loop in the graph"
    if how == "Scan" and call.kind in STANDARD:
        fault = fault or "a standard cell is not fused"
    return Outcome(call.kind, how, worst, fault)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="kinds that contain this")
    only = parser.parse_args().only
    warnings.simplefilter("ignore")
    console, start = Console(), time.perf_counter()
    calls, result = record()
    console.print(
        f"Keras {keras.__version__}: {result.testsRun} tests run, {len(calls)} distinct calls of "
        f"recurrent layers ({len(result.failures) + len(result.errors)} tests failed by themselves)"
    )
    calls = [call for call in calls if only in call.kind]
    with tempfile.TemporaryDirectory() as name:
        found = [export(c, Path(name) / "out") for c in track(calls, "exporting", console=console)]
    show(found, console)
    console.print(f"{time.perf_counter() - start:.0f} s")
    return int(any(one.fault for one in found))


def show(found: list[Outcome], console: Console) -> None:
    table = Table("layer", "calls", "right", "how", "worst error")
    for kind in sorted({one.kind for one in found}):
        ones = [one for one in found if one.kind == kind]
        how = ", ".join(f"{h} {n}" for h, n in Counter(o.how for o in ones).items())
        right = sum(not one.fault for one in ones)
        worst = np.nanmax([one.error for one in ones] + [0.0])
        table.add_row(kind, str(len(ones)), str(right), how, f"{worst:.1e}")
    console.print(table)
    for one in found:
        if one.fault:
            console.print(f"[red]{one.kind}[/red] {one.fault}", highlight=False)
    right = sum(not one.fault for one in found)
    console.print(f"{right} of {len(found)} exported and equal to Keras")


if __name__ == "__main__":
    sys.exit(main())
