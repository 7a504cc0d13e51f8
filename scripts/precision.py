"""Measure what int8 saves and costs: the digits model, a published classifier, an LSTM of 128→256.

Run it with `.venv/bin/python scripts/precision.py`. Times are ratios, int8 over float32, the two
run in turn on one thread.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from subjects import digit_images, sleep_stages

import rnnport
from rnnport.artifact.load import Artifact
from rnnport.cli.quiet import load_exporter
from rnnport.parity.paid import paid_words
from rnnport.runtime.racing import race

__all__ = ["ratio"]

SECONDS = 2.0
Floats = NDArray[np.float32]


def main() -> None:
    load_exporter()
    with tempfile.TemporaryDirectory() as folder:
        for name, model, inputs, valid in subjects():
            report(name, model, inputs, valid, Path(folder) / name)


def subjects() -> Iterator[tuple[str, Any, Floats, NDArray[np.bool_]]]:
    """Name, model, inputs (N, T, F), and which decisions count."""
    import keras

    for subject, count in ((digit_images(), 360), (sleep_stages(), 16)):
        model = keras.models.load_model(subject.file)
        inputs, valid = subject.draw(model, count)
        yield subject.title, model, inputs, valid
    keras.utils.set_random_seed(0)
    layers = [keras.layers.LSTM(256, return_sequences=True), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential([keras.Input((None, 128)), *layers])
    x = np.random.default_rng(0).standard_normal((32, 100, 128)).astype("float32")
    yield "LSTM 128 to 256", model, x, np.ones((32, 100), bool)


def report(name: str, model: Any, inputs: Floats, valid: NDArray[np.bool_], folder: Path) -> None:
    """Print sizes, costs and times of one model."""
    folder.mkdir()
    plain, small = (
        rnnport.export(model, folder / p, target="cpu", precision=p) for p in ("float32", "int8")
    )
    print(f"\n{name}")
    for form in small.manifest.forms:
        share = size(small, form) / size(plain, form)
        print(f"  {form}.onnx: {size(small, form):,} bytes, {share:.3f} of float32")
    for one in small.manifest.paid:
        print(f"  golden: {paid_words(one)}")
    runners = [rnnport.load(a, provider="cpu", threads=1) for a in (plain, small)]
    decisions = [runner.run(inputs).argmax(-1) for runner in runners]
    flipped = (decisions[0] != decisions[1]) & (valid if valid.ndim == decisions[0].ndim else True)
    print(f"  its own inputs: {flipped.sum()} of {valid.sum()} decisions flipped")
    for rows in (1, len(inputs)):
        given = inputs[:rows]
        print(
            f"  {given.shape}: {ratio(*(partial(r.run, given) for r in runners)):.2f} of the time"
        )
    if "stream" in small.manifest.forms:
        steppers = [runner.stepper() for runner in runners]
        calls = [partial(s.step, np.ascontiguousarray(inputs[:1, 0])) for s in steppers]
        print(f"  one step of one stream: {ratio(*calls):.2f} of the time")


def size(artifact: Artifact, form: str) -> int:
    return artifact.manifest.forms[form].record.size


def ratio(one: Callable[[], Any], other: Callable[[], Any]) -> float:
    """Time of the second over that of the first, run in turn."""
    found = race({"one": one, "other": other}, SECONDS)
    return found["other"] / found["one"]


if __name__ == "__main__":
    main()
